#include "plumbline/stats/permutation.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

constexpr std::size_t kChunk = 25;

/// Whether `value` is at least as extreme as `observed`; sums in another order differ in the last bits, hence the
/// slack.
bool extreme(double value, double observed, double slack, Tail tail) {
  switch (tail) {
    case Tail::kGreater: return value >= observed - slack;
    case Tail::kLess: return value <= observed + slack;
    case Tail::kTwoSided: return std::abs(value) >= std::abs(observed) - slack;
  }
  return true;
}

/// The values of `draw` for streams rng.fork(0) … rng.fork(count - 1).
base::Result<std::vector<double>> draw_all(const std::function<double(base::Rng&)>& draw,
                                           const PermutationOptions& options, const base::Rng& rng) {
  PL_CHECK(
      base::check_at_least("permutation_test", "permutations", static_cast<std::ptrdiff_t>(options.permutations), 1));
  std::vector<double> values(options.permutations);
  PL_CHECK(base::parallel_for((values.size() + kChunk - 1) / kChunk,
                              [&](std::size_t chunk) -> base::Status {
                                for (std::size_t i = chunk * kChunk; i < std::min(values.size(), (chunk + 1) * kChunk);
                                     ++i) {
                                  base::Rng stream = rng.fork(i);
                                  values[i] = draw(stream);
                                }
                                return base::ok();
                              },
                              options.cancel));
  return values;
}

TestResult finish(std::string_view name, double observed, std::size_t extremes, std::size_t count, bool exact,
                  double n) {
  TestResult result;
  result.statistic = observed;
  result.n = n;
  result.exact = exact;
  result.p_value = exact ? static_cast<double>(extremes) / static_cast<double>(count) : permutation_p(extremes, count);
  result.method = exact ? fmt::format("{} (all {})", name, count) : fmt::format("{} ({})", name, count);
  return result;
}

}  // namespace

double permutation_p(std::size_t at_least_as_extreme, std::size_t permutations) {
  return (1 + static_cast<double>(at_least_as_extreme)) / (1 + static_cast<double>(permutations));
}

base::Result<TestResult> permutation_test(std::span<const double> a, std::span<const double> b,
                                          const PermutationOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_at_least("permutation_test", "size of a", static_cast<std::ptrdiff_t>(a.size()), 1));
  PL_CHECK(base::check_at_least("permutation_test", "size of b", static_cast<std::ptrdiff_t>(b.size()), 1));
  PL_CHECK(base::check_all_finite("permutation_test", "a", a));
  PL_CHECK(base::check_all_finite("permutation_test", "b", b));
  std::vector<double> pooled(a.begin(), a.end());
  pooled.insert(pooled.end(), b.begin(), b.end());
  const std::size_t n = pooled.size();
  const auto m = static_cast<double>(a.size());
  const auto rest = static_cast<double>(b.size());
  double total = 0, scale = 0;
  for (const double v : pooled) {
    total += v;
    scale += std::abs(v);
  }
  auto difference = [&](double sum_a) { return sum_a / m - (total - sum_a) / rest; };
  double sum = 0;
  for (const double v : a) sum += v;
  const double observed = difference(sum);
  const double slack = 1e-12 * scale / std::min(m, rest);

  if (log_choose(static_cast<double>(n), m) <= std::log(static_cast<double>(options.exact_limit)) + 1e-9) {
    std::vector<std::size_t> chosen(a.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
    std::size_t extremes = 0, count = 0;
    for (bool more = true; more;) {
      double sum_a = 0;
      for (const std::size_t i : chosen) sum_a += pooled[i];
      extremes += extreme(difference(sum_a), observed, slack, options.tail);
      ++count;
      // The next combination in lexicographic order.
      std::size_t place = chosen.size();
      while (place > 0 && chosen[place - 1] == n - chosen.size() + place - 1) --place;
      more = place > 0;
      if (!more) break;
      ++chosen[place - 1];
      for (std::size_t i = place; i < chosen.size(); ++i) chosen[i] = chosen[i - 1] + 1;
    }
    return finish("permutation of labels", observed, extremes, count, true, static_cast<double>(n));
  }
  PL_TRY(const std::vector<double> values, draw_all(
                                               [&](base::Rng& stream) {
                                                 std::vector<double> mixed = pooled;
                                                 double sum_a = 0;
                                                 for (std::size_t i = 0; i < a.size(); ++i) {
                                                   std::swap(mixed[i], mixed[i + stream.below(n - i)]);
                                                   sum_a += mixed[i];
                                                 }
                                                 return difference(sum_a);
                                               },
                                               options, rng));
  std::size_t extremes = 0;
  for (const double v : values) extremes += extreme(v, observed, slack, options.tail);
  return finish("permutation of labels", observed, extremes, values.size(), false, static_cast<double>(n));
}

base::Result<TestResult> sign_flip_test(std::span<const double> differences, const PermutationOptions& options,
                                        const base::Rng& rng) {
  PL_CHECK(base::check_at_least("sign_flip_test", "size of differences",
                                static_cast<std::ptrdiff_t>(differences.size()), 1));
  PL_CHECK(base::check_all_finite("sign_flip_test", "differences", differences));
  const auto n = static_cast<double>(differences.size());
  double sum = 0, scale = 0;
  for (const double v : differences) {
    sum += v;
    scale += std::abs(v);
  }
  const double observed = sum / n;
  const double slack = 1e-12 * scale / n;
  std::size_t extremes = 0;
  if (n <= 40 && std::exp2(n) <= static_cast<double>(options.exact_limit)) {
    const auto count = static_cast<std::size_t>(std::exp2(n));
    for (std::size_t mask = 0; mask < count; ++mask) {
      double flipped = 0;
      for (std::size_t i = 0; i < differences.size(); ++i)
        flipped += (mask >> i & 1U) != 0 ? -differences[i] : differences[i];
      extremes += extreme(flipped / n, observed, slack, options.tail);
    }
    return finish("sign flips", observed, extremes, count, true, n);
  }
  PL_TRY(const std::vector<double> values, draw_all(
                                               [&](base::Rng& stream) {
                                                 double flipped = 0;
                                                 std::uint64_t word = 0;
                                                 for (std::size_t i = 0; i < differences.size(); ++i) {
                                                   if (i % 64 == 0) word = stream.bits();
                                                   flipped +=
                                                       (word >> (i % 64) & 1U) != 0 ? -differences[i] : differences[i];
                                                 }
                                                 return flipped / n;
                                               },
                                               options, rng));
  for (const double v : values) extremes += extreme(v, observed, slack, options.tail);
  return finish("sign flips", observed, extremes, values.size(), false, n);
}

base::Result<TestResult> permutation_test(double observed, const std::function<double(base::Rng&)>& draw,
                                          const PermutationOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_finite("permutation_test", "observed", observed));
  PL_TRY(const std::vector<double> values, draw_all(draw, options, rng));
  std::size_t above = 0, below = 0;
  for (const double v : values) {
    above += !(v < observed);  // NaN counts against the finding, on both sides
    below += !(v > observed);
  }
  TestResult result =
      finish("random relabelling", observed, options.tail == Tail::kLess ? below : above, values.size(), false, 0);
  if (options.tail == Tail::kTwoSided) {
    result.p_value =
        std::min(1.0, 2 * std::min(permutation_p(above, values.size()), permutation_p(below, values.size())));
  }
  return result;
}

}  // namespace plumbline::stats
