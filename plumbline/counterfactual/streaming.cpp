#include "plumbline/counterfactual/streaming.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/row_rules.hpp"
#include "plumbline/counterfactual/weighted_sums.hpp"
#include "plumbline/data/log_stream.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using data::DecisionLog;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kPiece = 4096;  // rows of a parallel task

/// Columns of what a row gives.
enum Column : std::size_t { kOne, kReward, kWeight, kProduct, kClipped, kShrunk, kCenter, kColumns };
using Sums = std::array<double, kColumns>;

/// The figure is sums[num] / sums[den].
std::pair<Column, Column> ratio_of(Estimator estimator) {
  switch (estimator) {
    case Estimator::kSnips: return {kProduct, kWeight};
    case Estimator::kClipped: return {kClipped, kOne};
    case Estimator::kShrunk: return {kShrunk, kOne};
    default: return {kProduct, kOne};
  }
}

/// What the first pass finds.
struct Whole {
  std::size_t used = 0;
  std::vector<bool> taken;
};

/// Sums over all rows and, unit by unit, their products.
struct Totals {
  Sums sum{};
  std::array<Sums, kColumns> product{};  // of unit sums
  double largest_weight = 0;
  double missing = 0;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  double at_low = 0;  // rows
  double at_high = 0;
  double bound = 0;
  double units = 0;
  double square = 0;        // of unit weights
  double largest_unit = 0;  // weight

  void add_unit(const Sums& s) {
    units += 1;
    square += s[kWeight] * s[kWeight];
    largest_unit = std::max(largest_unit, s[kWeight]);
    for (std::size_t a = 0; a < kColumns; ++a) {
      for (std::size_t b = a; b < kColumns; ++b) product[a][b] += s[a] * s[b];
    }
  }
  void extreme(double reward_low, double n_low, double reward_high, double n_high) {
    if (reward_low < low) at_low = 0;
    if (reward_high > high) at_high = 0;
    low = std::min(low, reward_low);
    high = std::max(high, reward_high);
    if (reward_low == low) at_low += n_low;
    if (reward_high == high) at_high += n_high;
  }
  void merge(const Totals& other) {
    for (std::size_t a = 0; a < kColumns; ++a) {
      sum[a] += other.sum[a];
      for (std::size_t b = a; b < kColumns; ++b) product[a][b] += other.product[a][b];
    }
    largest_weight = std::max(largest_weight, other.largest_weight);
    missing += other.missing;
    extreme(other.low, other.at_low, other.high, other.at_high);
    bound = std::max(bound, other.bound);
    units += other.units;
    square += other.square;
    largest_unit = std::max(largest_unit, other.largest_unit);
  }
};

/// Rows of a block that may be used; the first impossible one is an error.
base::Result<std::vector<std::size_t>> usable_in(const DecisionLog& log, std::size_t first, Exclusions& excluded) {
  std::vector<std::size_t> rows;
  std::vector<int> every;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (!row_usable(log, i, excluded)) continue;
    if (const std::string what = row_fault(log, i, log.available(i, every)); !what.empty())
      return faulty_rows(first + i, what, 1);
    rows.push_back(i);
  }
  return rows;
}

base::Result<Whole> first_pass(const std::string& path, const base::CancelToken& cancel) {
  PL_TRY(data::LogStream stream, data::LogStream::open(path));
  Whole out;
  out.taken.assign(stream.blank().actions(), false);
  Exclusions ignored;
  for (;;) {
    PL_CHECK(cancel.status());
    PL_TRY(const std::optional<DecisionLog> log, stream.next());
    if (!log) return out;
    for (std::size_t i = 0; i < log->rows(); ++i) {
      if (!row_usable(*log, i, ignored)) continue;
      ++out.used;
      out.taken[static_cast<std::size_t>(log->action[i])] = true;
    }
  }
}

/// What a row gives, and what it says about the support.
struct RowMaker {
  const DecisionLog& log;
  const TargetPolicy& target;
  const Whole* whole;
  double clip;
  double shrink;

  Sums make(std::size_t i, std::vector<int>& every, std::vector<double>& pi, Totals& totals) const {
    const auto available = log.available(i, every);
    const auto logged = log.probabilities(i);
    pi.assign(available.size(), 0.0);
    target.probabilities(i, available, pi);
    double weight = 0;
    double held = 0;
    for (std::size_t k = 0; k < available.size(); ++k) {
      if (available[k] == log.action[i]) weight = pi[k] / log.propensity[i];
      const bool possible = logged.empty() ? whole->taken[static_cast<std::size_t>(available[k])] : logged[k] > 0;
      if (possible) held += pi[k];
      if (!logged.empty() && logged[k] > 0) totals.bound = std::max(totals.bound, pi[k] / logged[k]);
    }
    const double missing = 1 - held > 1e-9 ? 1 - held : 0;
    const double reward = log.reward[i];
    Sums s{};
    s[kOne] = 1;
    s[kReward] = reward;
    s[kWeight] = weight;
    s[kProduct] = weight * reward;
    s[kClipped] = std::min(weight, clip) * reward;
    s[kShrunk] = shrink > 0 ? shrink * weight / (weight * weight + shrink) * reward : 0;
    s[kCenter] = weight + missing;
    totals.largest_weight = std::max(totals.largest_weight, weight);
    totals.missing += missing;
    totals.extreme(reward, 1, reward, 1);
    for (std::size_t c = 0; c < kColumns; ++c) totals.sum[c] += s[c];
    return s;
  }
};

/// Linear combination of columns whose mean over units has the figure's error.
using Direction = std::array<double, kColumns>;

void add_ratio(const Sums& sum, Column num, Column den, double sign, Direction& out) {
  out[num] += sign / sum[den];
  out[den] -= sign * sum[num] / (sum[den] * sum[den]);
}

stats::Estimate normal_bounds(double value, const Totals& t, const Direction& d) {
  double variance = 0;
  for (std::size_t a = 0; a < kColumns; ++a) {
    for (std::size_t b = a; b < kColumns; ++b) variance += (a == b ? 1 : 2) * d[a] * d[b] * t.product[a][b];
  }
  stats::Estimate out;
  out.value = value;
  out.method = "influence function, Student's t, streamed";
  if (t.units < 2) return out;
  const double error = std::sqrt(std::max(0.0, variance) * t.units / (t.units - 1));
  const auto reach = [&](double confidence) { return stats::t_quantile(confidence, t.units - 1) * error; };
  out.bounds = stats::make_bounds([&](double c) { return std::optional(value - reach(c)); },
                                  [&](double c) { return std::optional(value + reach(c)); });
  return out;
}

/// Percentiles of the figures of the replicates; a rung with fewer than two replicates beyond it stays empty.
stats::Estimate percentile_bounds(double value, std::vector<double> figures, std::size_t asked) {
  stats::Estimate out;
  out.value = value;
  out.method = fmt::format("percentile bootstrap in one pass ({})", asked);
  std::erase_if(figures, [](double v) { return !std::isfinite(v); });
  if (static_cast<double>(figures.size()) < 0.95 * static_cast<double>(asked)) {
    out.warnings.push_back(
        fmt::format("the figure is not defined in {} of {} resamples", asked - figures.size(), asked));
    return out;
  }
  std::sort(figures.begin(), figures.end());
  const auto at = [&](double q, double tail) -> std::optional<double> {
    if (tail * static_cast<double>(figures.size()) < 2) return {};
    return stats::quantile_sorted(figures, q);
  };
  out.bounds = stats::make_bounds([&](double c) { return at(1 - c, 1 - c); }, [&](double c) { return at(c, 1 - c); });
  return out;
}

}  // namespace

bool streams(Estimator estimator) {
  return estimator == Estimator::kIps || estimator == Estimator::kSnips || estimator == Estimator::kClipped ||
         estimator == Estimator::kShrunk;
}

bool streams(Interval interval) { return interval == Interval::kBootstrap || interval == Interval::kNormal; }

namespace {

struct Pass {
  StreamedValues out;
  Totals totals;
  std::optional<ResampledSums> resampled;
};

/// The pass that sums.
base::Status sum_rows(const std::string& path, const PolicySource& policy, const Whole& whole, bool bootstrap,
                      const ValueOptions& options, const base::Rng& rng, Pass& pass) {
  PL_TRY(data::LogStream stream, data::LogStream::open(path));
  pass.out.logged_rows = stream.rows();
  const bool units = stream.units() > 0;
  const auto n = static_cast<double>(whole.used);
  const double clip = options.tuning.clip > 0 ? options.tuning.clip : std::sqrt(n);
  const double shrink = options.tuning.lambda > 0 ? options.tuning.lambda : n;
  std::vector<Sums> of_unit(units ? stream.units() : 0);
  std::vector<bool> met(of_unit.size(), false);
  if (bootstrap) {
    base::Rng key = rng.fork("bootstrap");
    pass.resampled.emplace(kColumns - 1, options.replicates, key.bits());
  }
  std::size_t first = 0;
  for (;;) {
    PL_CHECK(options.cancel.status());
    PL_TRY(const std::optional<DecisionLog> log, stream.next());
    if (!log) break;
    PL_TRY(const std::vector<std::size_t> rows, usable_in(*log, first, pass.out.excluded));
    PL_TRY(const TargetPtr target, policy.bind(*log));
    const RowMaker maker{*log, *target, &whole, clip, shrink};
    std::vector<double> values(rows.size() * (kColumns - 1));
    std::vector<std::uint64_t> keys(rows.size());
    std::vector<Sums> sums(rows.size());
    const std::size_t pieces = (rows.size() + kPiece - 1) / kPiece;
    std::vector<Totals> parts(pieces);
    PL_CHECK(base::parallel_for(pieces, [&](std::size_t p) -> base::Status {
      std::vector<int> every;
      std::vector<double> pi;
      for (std::size_t j = p * kPiece; j < std::min(rows.size(), (p + 1) * kPiece); ++j) {
        sums[j] = maker.make(rows[j], every, pi, parts[p]);
        std::copy_n(sums[j].begin(), kColumns - 1, values.begin() + static_cast<std::ptrdiff_t>(j * (kColumns - 1)));
        // A row without unit is one of its own: keys above all units.
        const int unit = log->unit[rows[j]];
        keys[j] = unit >= 0 ? static_cast<std::uint64_t>(unit) : stream.units() + first + rows[j];
        if (unit < 0) parts[p].add_unit(sums[j]);
      }
      return base::ok();
    }));
    for (const Totals& part : parts) pass.totals.merge(part);
    if (units) {
      for (std::size_t j = 0; j < rows.size(); ++j) {
        const int unit = log->unit[rows[j]];
        if (unit < 0) continue;
        met[static_cast<std::size_t>(unit)] = true;
        Sums& s = of_unit[static_cast<std::size_t>(unit)];
        for (std::size_t c = 0; c < kColumns; ++c) s[c] += sums[j][c];
      }
    }
    if (pass.resampled) pass.resampled->add(values, keys);
    pass.out.used += rows.size();
    first += log->rows();
  }
  for (std::size_t u = 0; u < of_unit.size(); ++u) {
    if (met[u]) pass.totals.add_unit(of_unit[u]);
  }
  return base::ok();
}

Support support_from(const StreamedValues& out, const Totals& t) {
  Support s;
  const auto n = static_cast<double>(out.used);
  s.rows = n;
  s.units = t.units;
  s.excluded_share = static_cast<double>(out.excluded.total()) / static_cast<double>(out.logged_rows);
  s.mean_weight = t.sum[kWeight] / n;
  s.missing = t.missing / n;
  s.largest_weight = t.largest_weight;
  s.telling = n - std::max(t.at_low, t.at_high);
  s.effective_size = t.square > 0 ? t.sum[kWeight] * t.sum[kWeight] / t.square : 0;
  s.largest_share = t.sum[kWeight] > 0 ? t.largest_unit / t.sum[kWeight] : 1;
  if (t.units >= 2) {
    const double center = s.mean_weight + s.missing;
    const double deviation = std::max(0.0, t.product[kCenter][kCenter] - 2 * center * t.product[kOne][kCenter] +
                                               center * center * t.product[kOne][kOne]);
    const double error = std::sqrt(deviation * t.units / (t.units - 1)) / n;
    const double gap = center - 1;
    if (error > 1e-9)
      s.mean_weight_p = stats::t_two_sided(gap / error, t.units - 1);
    else
      s.mean_weight_p = std::abs(gap) > 1e-6 ? 0 : 1;
  }
  return s;
}

/// Mass that the log cannot speak for widens the bounds, as in value.cpp.
void widen(double missing, double low, double high, bool gain, bool declared, stats::Estimate& e) {
  if (!(missing > 0)) return;
  const double down = gain ? -missing * (high - low) : missing * low;
  const double up = gain ? missing * (high - low) : missing * high;
  for (auto& b : e.bounds.lower) {
    if (b) *b += std::min(0.0, down);
  }
  for (auto& b : e.bounds.upper) {
    if (b) *b += std::max(0.0, up);
  }
  if (!declared) e.assumptions.push_back(fmt::format("rewards lie in the range seen, [{:.6g}, {:.6g}]", low, high));
}

}  // namespace

base::Result<StreamedValues> stream_values(const std::string& path, const PolicySource& policy,
                                           std::span<const Estimator> estimators, Interval interval,
                                           const ValueOptions& options, const base::Rng& rng) {
  if (!streams(interval))
    return make_error(Code::kValue, fmt::format("{} bounds do not stream", interval_name(interval)), {},
                      "take bootstrap or normal");
  PL_CHECK(base::check_at_least("stream_values", "replicates", static_cast<std::ptrdiff_t>(options.replicates), 100));
  bool counts = false;
  for (const Estimator estimator : estimators) {
    if (!streams(estimator))
      return make_error(Code::kValue, fmt::format("{} does not stream", estimator_name(estimator)), {},
                        "take ips, snips, clipped or shrunk");
    counts = counts || estimator == Estimator::kClipped || estimator == Estimator::kShrunk;
  }
  Whole whole;
  Pass pass;
  {
    PL_TRY(const data::LogStream stream, data::LogStream::open(path));
    counts = counts || !stream.probabilities();
  }
  if (counts) {
    PL_TRY(whole, first_pass(path, options.cancel));
  }
  pass.out.passes = counts ? 2 : 1;
  PL_CHECK(sum_rows(path, policy, whole, interval == Interval::kBootstrap, options, rng, pass));
  StreamedValues& out = pass.out;
  const Totals& t = pass.totals;
  if (out.used == 0)
    return make_error(Code::kValue, fmt::format("no decision can be used: {}", out.excluded.words()), {},
                      "estimators need decisions that the policy took, with propensity and reward");
  double low = t.low;
  double high = t.high;
  if (options.reward_range) {
    if (t.low < options.reward_range->first || t.high > options.reward_range->second)
      return make_error(Code::kValue, fmt::format("rewards lie in [{}, {}], outside the declared [{}, {}]", t.low,
                                                  t.high, options.reward_range->first, options.reward_range->second));
    low = options.reward_range->first;
    high = options.reward_range->second;
  }
  out.support = support_from(out, t);
  Direction mean{};
  add_ratio(t.sum, kReward, kOne, 1, mean);
  out.logged = normal_bounds(t.sum[kReward] / t.sum[kOne], t, mean);
  out.logged.n = out.logged.n_effective = t.units;
  const Judgement judged = judge_support(out.support, true);

  for (const Estimator estimator : estimators) {
    const std::pair<Column, Column> ratio = ratio_of(estimator);
    for (const bool gain : {false, true}) {
      PolicyValue v;
      v.estimator = estimator;
      v.interval = interval;
      v.outcome = judged.outcome;
      v.reasons = judged.reasons;
      if (v.outcome == Outcome::kCannotSay) {
        v.estimate.value = kNaN;
        (gain ? out.gains : out.values).push_back(std::move(v));
        continue;
      }
      const auto figure = [&](std::span<const double> s) {
        return s[ratio.first] / s[ratio.second] - (gain ? s[kReward] / s[kOne] : 0.0);
      };
      const double value = figure(t.sum);
      if (pass.resampled) {
        std::vector<double> figures(options.replicates);
        for (std::size_t b = 0; b < figures.size(); ++b) figures[b] = figure(pass.resampled->sums(b));
        v.estimate = percentile_bounds(value, std::move(figures), options.replicates);
      } else {
        Direction direction{};
        add_ratio(t.sum, ratio.first, ratio.second, 1, direction);
        if (gain) add_ratio(t.sum, kReward, kOne, -1, direction);
        v.estimate = normal_bounds(value, t, direction);
      }
      widen(out.support.missing, low, high, gain, options.reward_range.has_value(), v.estimate);
      v.estimate.n = out.support.units;
      v.estimate.n_effective = out.support.effective_size;
      v.estimate.assumptions.emplace_back("units are independent and drawn alike");
      if (gain) v.estimate.assumptions.emplace_back("both policies are compared on the same rows");
      if (estimator == Estimator::kClipped || estimator == Estimator::kShrunk)
        v.estimate.assumptions.emplace_back("the bias of cutting weights is small; the bounds are of the cut figure");
      for (const std::string& reason : v.reasons) v.estimate.warnings.push_back(reason);
      (gain ? out.gains : out.values).push_back(std::move(v));
    }
  }
  return std::move(pass.out);
}

}  // namespace plumbline::counterfactual
