#include "plumbline/probe/slices.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <boost/math/special_functions/gamma.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::probe {
namespace {

using Words = std::vector<std::uint64_t>;

Words bits_of(std::span<const std::uint8_t> flags) {
  Words words((flags.size() + 63) / 64, 0);
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] != 0) words[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  return words;
}

std::size_t count(const Words& a) {
  std::size_t sum = 0;
  for (const std::uint64_t word : a) sum += static_cast<std::size_t>(std::popcount(word));
  return sum;
}

std::size_t count_both(const Words& a, const Words& b) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<std::size_t>(std::popcount(a[i] & b[i]));
  return sum;
}

Words both(const Words& a, const Words& b) {
  Words words(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) words[i] = a[i] & b[i];
  return words;
}

// One predicate: where it holds in the searched half (bit i = i-th searched row), and in all rows.
struct Predicate {
  std::size_t column = 0;
  std::string text;
  bool declared = false;
  Words searched;
  std::vector<std::uint8_t> member;
};

struct Candidate {
  std::size_t first = 0;
  std::size_t second = 0;  // == first for a single predicate
  std::size_t rows = 0;
  std::size_t errors = 0;
  double p = 1;
  double q = 1;
  bool pair() const { return first != second; }
};

std::size_t scaled(std::size_t n, double factor) {
  return static_cast<std::size_t>(std::floor(static_cast<double>(n) * factor + 0.5));
}

// The test's p-value with all four counts scaled to the number of units.
double tail(std::size_t errors, std::size_t rows, std::size_t bad, std::size_t all, double factor) {
  if (factor >= 1) return hypergeometric_tail(errors, rows, bad, all);
  const std::size_t n = scaled(all, factor);
  const std::size_t k = std::min(scaled(bad, factor), n);
  const std::size_t drawn = std::min(scaled(rows, factor), n);
  return hypergeometric_tail(std::min({scaled(errors, factor), k, drawn}), drawn, k, n);
}

double log_choose(double n, double k) {
  return boost::math::lgamma(n + 1.0) - boost::math::lgamma(k + 1.0) - boost::math::lgamma(n - k + 1.0);
}

std::string number(double value) { return fmt::format("{:.4g}", value); }

Words without(const Words& a, const Words& b) {
  Words words(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) words[i] = a[i] & ~b[i];
  return words;
}

}  // namespace

double hypergeometric_tail(std::size_t hits, std::size_t drawn, std::size_t bad, std::size_t rows) {
  const std::size_t least = drawn + bad > rows ? drawn + bad - rows : 0;
  if (hits <= least) return 1.0;
  const std::size_t most = std::min(drawn, bad);
  if (hits > most) return 0.0;
  const auto n = static_cast<double>(drawn);
  const auto k = static_cast<double>(bad);
  const auto all = static_cast<double>(rows);
  auto x = static_cast<double>(hits);
  double term = std::exp(log_choose(k, x) + log_choose(all - k, n - x) - log_choose(all, n));
  double sum = 0;
  for (std::size_t i = hits; i <= most; ++i, x += 1.0) {
    sum += term;
    if (term < sum * 1e-17) break;
    term *= (k - x) * (n - x) / ((x + 1.0) * (all - k - n + x + 1.0));
  }
  return std::min(1.0, sum);
}

std::vector<SliceColumn> slice_columns(const data::Table& table, int few, int most_levels) {
  std::vector<SliceColumn> columns;
  for (const data::Column& source : table.columns) {
    SliceColumn column;
    column.name = source.name;
    if (source.kind == data::Column::Kind::kCategory) {
      if (static_cast<int>(source.levels.size()) > most_levels) continue;
      column.declared = true;
      column.codes = source.codes;
      for (const std::string& level : source.levels) column.values.push_back(fmt::format("{}={}", source.name, level));
    } else if (source.kind == data::Column::Kind::kNumber) {
      std::vector<double> sorted;
      for (const double v : source.numbers) {
        if (std::isfinite(v)) sorted.push_back(v);
      }
      std::sort(sorted.begin(), sorted.end());
      std::vector<double> distinct = sorted;
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      if (distinct.size() < 2) continue;
      column.codes.assign(source.numbers.size(), -1);
      if (static_cast<int>(distinct.size()) <= few) {
        column.declared = true;
        for (const double v : distinct) column.values.push_back(fmt::format("{}={}", source.name, number(v)));
        for (std::size_t i = 0; i < source.numbers.size(); ++i) {
          if (!std::isfinite(source.numbers[i])) continue;
          column.codes[i] = static_cast<int>(std::lower_bound(distinct.begin(), distinct.end(), source.numbers[i]) -
                                             distinct.begin());
        }
      } else {
        std::vector<double> cuts;
        for (const double q : {0.25, 0.5, 0.75}) {
          const double cut = stats::quantile_sorted(sorted, q);
          if (cut > sorted.front() && (cuts.empty() || cut > cuts.back())) cuts.push_back(cut);
        }
        if (cuts.empty()) continue;
        column.values.push_back(fmt::format("{} < {}", source.name, number(cuts.front())));
        for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
          column.values.push_back(fmt::format("{} in [{}, {})", source.name, number(cuts[i]), number(cuts[i + 1])));
        }
        column.values.push_back(fmt::format("{} >= {}", source.name, number(cuts.back())));
        for (std::size_t i = 0; i < source.numbers.size(); ++i) {
          if (!std::isfinite(source.numbers[i])) continue;
          column.codes[i] =
              static_cast<int>(std::upper_bound(cuts.begin(), cuts.end(), source.numbers[i]) - cuts.begin());
        }
      }
    } else {
      continue;
    }
    if (column.values.size() >= 2) columns.push_back(std::move(column));
  }
  return columns;
}

data::Table image_features(const data::Images& images) {
  data::Table table;
  for (const char* name : {"brightness", "contrast", "ink", "extent", "offset"}) {
    data::Column column;
    column.name = name;
    column.numbers.resize(images.count);
    table.columns.push_back(std::move(column));
  }
  const auto height = static_cast<std::size_t>(images.height);
  const auto width = static_cast<std::size_t>(images.width);
  const std::size_t area = height * width;
  std::vector<double> grey(area);
  for (std::size_t i = 0; i < images.count; ++i) {
    const auto bytes = images.image(i);
    double sum = 0;
    double low = 255;
    double high = 0;
    for (std::size_t p = 0; p < area; ++p) {
      grey[p] = 0;
      for (std::size_t c = 0; c < static_cast<std::size_t>(images.channels); ++c) grey[p] += bytes[c * area + p];
      grey[p] /= images.channels;
      sum += grey[p];
      low = std::min(low, grey[p]);
      high = std::max(high, grey[p]);
    }
    const double mean = sum / static_cast<double>(area);
    double squares = 0;
    std::size_t bright = 0;
    const double middle = 0.5 * (low + high);
    for (const double g : grey) {
      squares += (g - mean) * (g - mean);
      bright += g > middle ? 1 : 0;
    }
    // Ink is the rarer of the two sides of the middle grey.
    const bool bright_ink = 2 * bright <= area;
    double ink = 0, row_sum = 0, column_sum = 0;
    std::size_t top = height, bottom = 0, left = width, right = 0;
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        if ((grey[y * width + x] > middle) != bright_ink || high <= low) continue;
        ink += 1;
        row_sum += static_cast<double>(y) + 0.5;
        column_sum += static_cast<double>(x) + 0.5;
        top = std::min(top, y);
        bottom = std::max(bottom, y + 1);
        left = std::min(left, x);
        right = std::max(right, x + 1);
      }
    }
    table.columns[0].numbers[i] = mean / 255.0;
    table.columns[1].numbers[i] = std::sqrt(squares / static_cast<double>(area)) / 255.0;
    table.columns[2].numbers[i] = ink / static_cast<double>(area);
    const auto tall = static_cast<double>(height);
    const auto wide = static_cast<double>(width);
    if (ink > 0) {
      const double box = static_cast<double>(bottom - top) * static_cast<double>(right - left);
      table.columns[3].numbers[i] = std::sqrt(box / (tall * wide));
      const double dy = row_sum / ink - 0.5 * tall;
      const double dx = column_sum / ink - 0.5 * wide;
      table.columns[4].numbers[i] = std::sqrt(dx * dx + dy * dy) / (0.5 * std::sqrt(tall * tall + wide * wide));
    } else {
      table.columns[3].numbers[i] = 0;
      table.columns[4].numbers[i] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return table;
}

base::Result<SliceColumn> cluster_column(MatrixRefD rows, int clusters, const base::Rng& rng) {
  constexpr auto kName = "cluster_column";
  PL_CHECK(base::check_at_least(kName, "clusters", clusters, 2));
  if (rows.rows() < clusters) {
    return base::make_error(base::Code::kShape, fmt::format("{} rows for {} clusters", rows.rows(), clusters), kName);
  }
  const std::ptrdiff_t n = rows.rows();
  const std::ptrdiff_t d = rows.cols();
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    PL_CHECK(base::check_all_finite(kName, "rows", std::span(rows.row(i).data(), static_cast<std::size_t>(d))));
  }
  const auto distance = [&](std::ptrdiff_t i, const MatrixD& centres, std::ptrdiff_t c) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < d; ++j) {
      const double gap = rows(i, j) - centres(c, j);
      sum += gap * gap;
    }
    return sum;
  };
  base::Rng draws = rng.fork("clusters");
  MatrixD centres(clusters, d);
  centres.row(0) = rows.row(static_cast<std::ptrdiff_t>(draws.below(static_cast<std::uint64_t>(n))));
  std::vector<double> nearest(static_cast<std::size_t>(n), std::numeric_limits<double>::infinity());
  for (std::ptrdiff_t c = 1; c < clusters; ++c) {
    double total = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      auto& own = nearest[static_cast<std::size_t>(i)];
      own = std::min(own, distance(i, centres, c - 1));
      total += own;
    }
    double u = draws.uniform() * total;
    std::ptrdiff_t pick = 0;
    while (pick + 1 < n && u >= nearest[static_cast<std::size_t>(pick)]) u -= nearest[static_cast<std::size_t>(pick++)];
    centres.row(c) = rows.row(pick);
  }
  SliceColumn column;
  column.name = "cluster";
  column.codes.assign(static_cast<std::size_t>(n), -1);
  for (int round = 0; round < 50; ++round) {
    bool moved = false;
    MatrixD sums = MatrixD::Zero(clusters, d);
    std::vector<double> sizes(static_cast<std::size_t>(clusters), 0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      int best = 0;
      double least = distance(i, centres, 0);
      for (int c = 1; c < clusters; ++c) {
        const double own = distance(i, centres, c);
        if (own < least) {
          least = own;
          best = c;
        }
      }
      int& code = column.codes[static_cast<std::size_t>(i)];
      moved = moved || code != best;
      code = best;
      sums.row(best) += rows.row(i);
      sizes[static_cast<std::size_t>(best)] += 1;
    }
    if (!moved) break;
    for (int c = 0; c < clusters; ++c) {
      if (sizes[static_cast<std::size_t>(c)] > 0) centres.row(c) = sums.row(c) / sizes[static_cast<std::size_t>(c)];
    }
  }
  for (int c = 0; c < clusters; ++c) column.values.push_back(fmt::format("cluster={}", c));
  return column;
}

base::Result<SliceEstimate> estimate_slice(std::span<const std::uint8_t> member, std::span<const std::uint8_t> wrong,
                                           std::span<const int> units) {
  constexpr auto kName = "estimate_slice";
  PL_CHECK(base::check_size(kName, "wrong", std::ssize(wrong), std::ssize(member)));
  if (!units.empty()) PL_CHECK(base::check_size(kName, "units", std::ssize(units), std::ssize(member)));
  std::vector<std::uint8_t> inside;
  std::vector<std::uint8_t> outside;
  std::vector<int> inside_units;
  std::vector<int> outside_units;
  for (std::size_t i = 0; i < member.size(); ++i) {
    (member[i] != 0 ? inside : outside).push_back(wrong[i]);
    if (!units.empty()) (member[i] != 0 ? inside_units : outside_units).push_back(units[i]);
  }
  if (inside.empty() || outside.empty()) {
    return base::make_error(base::Code::kValue,
                            fmt::format("{} of {} rows are members: nothing to compare", inside.size(), member.size()),
                            kName);
  }
  SliceEstimate result;
  PL_TRY(result.error, stats::proportion(inside, inside_units));
  PL_TRY(const stats::Estimate rest, stats::proportion(outside, outside_units));
  result.lift = result.error;
  result.lift.value = result.error.value - rest.value;
  result.lift.bounds = {};
  result.lift.method = "difference of exact bounds inside and outside, half the error each";
  for (std::size_t r = 0; r < stats::kLadder.size(); ++r) {
    const auto half = stats::rung_at_or_above(1.0 - 0.5 * (1.0 - stats::kLadder[r]));
    if (!half) continue;
    const auto& in = result.error.bounds;
    if (in.lower[*half] && rest.bounds.upper[*half])
      result.lift.bounds.lower[r] = *in.lower[*half] - *rest.bounds.upper[*half];
    if (in.upper[*half] && rest.bounds.lower[*half])
      result.lift.bounds.upper[r] = *in.upper[*half] - *rest.bounds.lower[*half];
  }
  return result;
}

base::Result<SliceReport> discover_slices(std::span<const SliceColumn> columns, std::span<const std::uint8_t> wrong,
                                          std::span<const int> units, const SliceOptions& options,
                                          const base::Rng& rng) {
  constexpr auto kName = "discover_slices";
  PL_CHECK(base::check_at_least(kName, "wrong.size()", std::ssize(wrong), 1));
  for (const SliceColumn& column : columns) {
    PL_CHECK(base::check_size(kName, fmt::format("codes of column '{}'", column.name), std::ssize(column.codes),
                              std::ssize(wrong)));
  }
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    if (wrong[i] > 1)
      return base::make_error(base::Code::kValue, fmt::format("wrong[{}] is {}, expected 0 or 1", i, wrong[i]), kName);
  }
  PL_CHECK(base::check_in_open(kName, "options.level", options.level, 0.0, 1.0));
  PL_TRY(const auto groups, stats::group_units(units, wrong.size()));

  // Halves of units.
  base::Rng draws = rng.fork("halves");
  std::vector<std::uint8_t> searched(wrong.size(), 0);
  for (const std::size_t u : draws.sample(groups.count(), groups.count() / 2)) {
    for (const std::size_t i : groups.rows_of(u)) searched[i] = 1;
  }
  std::vector<std::size_t> search_rows;
  std::vector<std::size_t> judge_rows;
  for (std::size_t i = 0; i < wrong.size(); ++i) (searched[i] != 0 ? search_rows : judge_rows).push_back(i);

  SliceReport report;
  report.searched_rows = search_rows.size();
  report.judged_rows = judge_rows.size();
  const double factor = std::min(1.0, static_cast<double>(groups.count()) / static_cast<double>(wrong.size()));

  std::vector<std::uint8_t> flags(search_rows.size());
  for (std::size_t i = 0; i < search_rows.size(); ++i) flags[i] = wrong[search_rows[i]];
  const Words errors = bits_of(flags);
  const std::size_t bad = count(errors);

  std::vector<Predicate> predicates;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    for (std::size_t v = 0; v < columns[c].values.size(); ++v) {
      Predicate predicate{c, columns[c].values[v], columns[c].declared, {}, std::vector<std::uint8_t>(wrong.size(), 0)};
      for (std::size_t i = 0; i < wrong.size(); ++i)
        predicate.member[i] = columns[c].codes[i] == static_cast<int>(v) ? 1 : 0;
      for (std::size_t i = 0; i < search_rows.size(); ++i) flags[i] = predicate.member[search_rows[i]];
      predicate.searched = bits_of(flags);
      if (count(predicate.searched) >= options.least_rows) predicates.push_back(std::move(predicate));
    }
  }

  std::vector<Candidate> candidates;
  std::vector<std::size_t> single_of(predicates.size());
  for (std::size_t a = 0; a < predicates.size(); ++a) {
    single_of[a] = candidates.size();
    candidates.push_back({a, a, count(predicates[a].searched), count_both(predicates[a].searched, errors)});
  }
  for (std::size_t a = 0; a < predicates.size(); ++a) {
    for (std::size_t b = a + 1; b < predicates.size(); ++b) {
      if (predicates[a].column == predicates[b].column) continue;
      if (candidates.size() >= options.most_candidates) {
        ++report.left_out;
        continue;
      }
      const std::size_t rows = count_both(predicates[a].searched, predicates[b].searched);
      if (rows < options.least_rows) continue;
      candidates.push_back({a, b, rows, count_both(both(predicates[a].searched, predicates[b].searched), errors)});
    }
  }
  // Whole-set candidates have nothing outside of them to be compared with.
  std::erase_if(candidates, [&](const Candidate& c) { return c.pair() && c.rows == search_rows.size(); });
  report.candidates = candidates.size();
  if (candidates.empty()) return report;
  std::vector<double> p;
  for (Candidate& candidate : candidates) {
    candidate.p = tail(candidate.errors, candidate.rows, bad, search_rows.size(), factor);
    p.push_back(candidate.p);
  }
  PL_TRY(const auto q, stats::benjamini_hochberg(p));
  for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].q = q[i];

  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    if (candidate.q > options.level) continue;
    if (candidate.pair()) {
      bool sharper = true;
      for (const std::size_t parent : {candidate.first, candidate.second}) {
        const Candidate& single = candidates[single_of[parent]];
        sharper = sharper &&
                  tail(candidate.errors, candidate.rows, single.errors, single.rows, factor) <= 0.1 * options.level;
      }
      if (!sharper) continue;
    }
    kept.push_back(candidate);
  }
  std::stable_sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.p < b.p; });

  std::vector<std::uint8_t> judged_wrong(judge_rows.size());
  std::vector<int> judged_units;
  std::size_t judged_bad = 0;
  for (std::size_t i = 0; i < judge_rows.size(); ++i) {
    judged_wrong[i] = wrong[judge_rows[i]];
    judged_bad += judged_wrong[i];
    if (!units.empty()) judged_units.push_back(units[judge_rows[i]]);
  }
  Words explained(errors.size(), 0);
  for (const Candidate& candidate : kept) {
    if (report.found.size() >= options.most) break;
    const Predicate& first = predicates[candidate.first];
    const Predicate& second = predicates[candidate.second];
    // What is left of it once the rows of stronger slices are taken out must still be worse than the rest.
    const Words own = both(first.searched, second.searched);
    const Words left = without(own, explained);
    const std::size_t left_bad = count(without(errors, explained));
    const std::size_t left_rows = search_rows.size() - count(explained);
    if (tail(count_both(left, errors), count(left), left_bad, left_rows, factor) > 0.1 * options.level) continue;
    Slice slice;
    slice.predicates = {first.text};
    if (candidate.pair()) slice.predicates.push_back(second.text);
    slice.name = candidate.pair() ? fmt::format("{} & {}", first.text, second.text) : first.text;
    slice.declared = !candidate.pair() && first.declared;
    slice.p_found = candidate.p;
    slice.q_found = candidate.q;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      if (first.member[i] != 0 && second.member[i] != 0) slice.rows.push_back(i);
    }
    std::vector<std::uint8_t> member(judge_rows.size());
    std::size_t hits = 0;
    for (std::size_t i = 0; i < judge_rows.size(); ++i) {
      member[i] = first.member[judge_rows[i]] != 0 && second.member[judge_rows[i]] != 0 ? 1 : 0;
      if (member[i] == 0) continue;
      slice.judged_rows.push_back(judge_rows[i]);
      hits += judged_wrong[i];
    }
    if (slice.judged_rows.size() < options.least_rows || slice.judged_rows.size() == judge_rows.size()) continue;
    const auto estimate = estimate_slice(member, judged_wrong, judged_units);
    if (!estimate.ok()) continue;  // a side with fewer than two units: nothing can be said
    slice.error = estimate->error;
    slice.lift = estimate->lift;
    slice.p_confirmed = tail(hits, slice.judged_rows.size(), judged_bad, judge_rows.size(), factor);
    report.found.push_back(std::move(slice));
    for (std::size_t w = 0; w < explained.size(); ++w) explained[w] |= own[w];
  }
  if (report.found.empty()) return report;
  std::vector<double> again;
  for (const Slice& slice : report.found) again.push_back(slice.p_confirmed);
  PL_TRY(const auto adjusted, stats::benjamini_hochberg(again));
  for (std::size_t i = 0; i < adjusted.size(); ++i) report.found[i].confirmed = adjusted[i] <= options.level;
  return report;
}

}  // namespace plumbline::probe
