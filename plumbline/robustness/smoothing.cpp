#include "plumbline/robustness/smoothing.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::robustness {
namespace {

base::Status check_arguments(std::span<const float> x, const InputDomain& domain, const SmoothingOptions& options) {
  constexpr std::string_view kHere = "smooth";
  PL_CHECK(base::check_at_least(kHere, "size of x", static_cast<std::ptrdiff_t>(x.size()), 1));
  PL_CHECK(base::check_size(kHere, "domain", static_cast<std::ptrdiff_t>(domain.scale.size()),
                            static_cast<std::ptrdiff_t>(x.size())));
  PL_CHECK(base::check_all_finite(kHere, "x", x));
  PL_CHECK(base::check_positive(kHere, "sigma", options.sigma));
  PL_CHECK(base::check_at_least(kHere, "n0", static_cast<std::ptrdiff_t>(options.n0), 1));
  PL_CHECK(base::check_at_least(kHere, "n", static_cast<std::ptrdiff_t>(options.n), 1));
  PL_CHECK(base::check_at_least(kHere, "batch", static_cast<std::ptrdiff_t>(options.batch), 1));
  return base::check_in_open(kHere, "alpha", options.alpha, 0, 1);
}

/// How often each class answers, over `count` noisy copies; copy i has a stream of its own.
base::Result<std::map<int, std::size_t>> count_classes(const Classify& classify, std::span<const float> x,
                                                       const InputDomain& domain, const SmoothingOptions& options,
                                                       std::size_t count, const base::Rng& stream,
                                                       const base::CancelToken& cancel) {
  std::map<int, std::size_t> counts;
  for (std::size_t begin = 0; begin < count; begin += options.batch) {
    PL_CHECK(cancel.status());
    const std::size_t rows = std::min(options.batch, count - begin);
    MatrixF noisy(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(x.size()));
    for (std::size_t r = 0; r < rows; ++r) {
      base::Rng rng = stream.fork(static_cast<std::uint64_t>(begin + r));
      float* const to = noisy.data() + r * x.size();
      for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = static_cast<float>(static_cast<double>(x[i]) + options.sigma * domain.scale[i] * rng.normal());
    }
    PL_TRY(const std::vector<int> classes, classify(noisy));
    PL_CHECK(base::check_size("smooth", "classes", static_cast<std::ptrdiff_t>(classes.size()),
                              static_cast<std::ptrdiff_t>(rows)));
    for (const int c : classes) {
      PL_CHECK(base::check_at_least("smooth", "class", c, 0));
      ++counts[c];
    }
  }
  return counts;
}

}  // namespace

base::Result<SmoothedAnswer> smooth(const Classify& classify, std::span<const float> x, const InputDomain& domain,
                                    const SmoothingOptions& options, const base::Rng& rng,
                                    const base::CancelToken& cancel) {
  PL_CHECK(check_arguments(x, domain, options));
  SmoothedAnswer out;
  PL_TRY(const auto first, count_classes(classify, x, domain, options, options.n0, rng.fork("guess"), cancel));
  std::size_t most = 0;
  for (const auto& [c, hits] : first) {
    if (hits <= most) continue;
    most = hits;
    out.guess = c;
  }
  // Fresh copies: those that chose the class would make its count too high.
  PL_TRY(const auto counts, count_classes(classify, x, domain, options, options.n, rng.fork("count"), cancel));
  const auto found = counts.find(out.guess);
  out.hits = found == counts.end() ? 0 : found->second;
  out.p_lower =
      stats::clopper_pearson_low(static_cast<double>(out.hits), static_cast<double>(options.n), 1 - options.alpha);
  out.abstains = !(out.p_lower > 0.5);
  out.radius = out.abstains ? 0 : options.sigma * stats::normal_quantile(out.p_lower);
  return out;
}

double largest_smoothed_radius(const SmoothingOptions& options) {
  const auto n = static_cast<double>(options.n);
  return options.sigma * stats::normal_quantile(stats::clopper_pearson_low(n, n, 1 - options.alpha));
}

}  // namespace plumbline::robustness
