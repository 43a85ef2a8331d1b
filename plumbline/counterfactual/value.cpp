#include "plumbline/counterfactual/value.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/likelihood.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/sequential.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<std::string_view, 5> kIntervals = {"bootstrap", "normal", "likelihood", "bernstein", "anytime"};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool bounded_terms(Estimator estimator) {
  return estimator == Estimator::kIps || estimator == Estimator::kClipped || estimator == Estimator::kShrunk;
}

/// Sums of rows by unit.
std::vector<double> by_unit(const std::vector<double>& values, const stats::UnitIndex& index) {
  std::vector<double> out(index.count());
  for (std::size_t u = 0; u < out.size(); ++u) {
    double sum = 0;
    for (const std::size_t j : index.rows_of(u)) sum += values[j];
    out[u] = sum;
  }
  return out;
}

}  // namespace

std::string_view interval_name(Interval interval) { return kIntervals[static_cast<std::size_t>(interval)]; }

base::Result<Interval> parse_interval(std::string_view name) {
  const auto found = std::find(kIntervals.begin(), kIntervals.end(), name);
  if (found == kIntervals.end()) {
    return make_error(Code::kValue, fmt::format("'{}' is no kind of interval", name.substr(0, 40)), {},
                      fmt::format("expected one of {}", fmt::join(kIntervals, ", ")));
  }
  return static_cast<Interval>(found - kIntervals.begin());
}

/// base: one number a row; ratios with a sign; or a choice among candidates.
struct Evaluation::Parts {
  struct Ratio {
    std::vector<double> num;
    std::vector<double> den;
    double sign = 1;
  };
  std::vector<double> base;
  std::vector<Ratio> ratios;
  std::optional<Choice> choice;

  void subtract(Parts other) {
    for (std::size_t j = 0; j < base.size(); ++j) base[j] -= other.base[j];
    for (Ratio& r : other.ratios) {
      r.sign = -r.sign;
      ratios.push_back(std::move(r));
    }
  }
};

base::Result<Evaluation> Evaluation::make(const data::DecisionLog& log, const TargetPolicy& target, bool with_model,
                                          const ValueOptions& options, const base::Rng& rng) {
  PL_TRY(OpeRows rows, usable_rows(log, target, with_model));
  if (!with_model) return of_rows(std::move(rows), nullptr, options, rng);
  const ContextFeatures features = context_features(log, rows);
  PL_TRY(Evaluation e, of_rows(std::move(rows), &features.values, options, rng));
  e.features_left_out_ = features.left_out;
  return e;
}

base::Result<Evaluation> Evaluation::of_rows(OpeRows rows, const MatrixD* features, const ValueOptions& options,
                                             const base::Rng& rng) {
  PL_CHECK(
      base::check_at_least("Evaluation::of_rows", "replicates", static_cast<std::ptrdiff_t>(options.replicates), 100));
  const auto n = static_cast<std::ptrdiff_t>(rows.size());
  PL_CHECK(base::check_at_least("Evaluation::of_rows", "rows", n, 1));
  for (const std::size_t size : {rows.action.size(), rows.reward.size(), rows.propensity.size(), rows.weight.size(),
                                 rows.missing.size(), rows.unit.empty() ? rows.size() : rows.unit.size()}) {
    PL_CHECK(base::check_size("Evaluation::of_rows", "an array of rows", static_cast<std::ptrdiff_t>(size), n));
  }
  PL_CHECK(base::check_all_finite("Evaluation::of_rows", "reward", rows.reward));
  for (std::size_t j = 0; j < rows.size(); ++j) {
    if (!(rows.propensity[j] > 0) || rows.propensity[j] > 1 + 1e-9)
      return make_error(Code::kValue, fmt::format("row {}: propensity is {}, expected above 0 and at most 1", j + 1,
                                                  rows.propensity[j]));
    if (!(rows.weight[j] >= 0) || !std::isfinite(rows.weight[j]))
      return make_error(Code::kValue, fmt::format("row {}: the weight is {}", j + 1, rows.weight[j]));
  }
  Evaluation e(rng, options);
  e.rows_ = std::move(rows);
  e.support_ = support_of(e.rows_);
  const auto [low, high] = std::minmax_element(e.rows_.reward.begin(), e.rows_.reward.end());
  e.reward_range_ = {*low, *high};
  if (options.reward_range) {
    const auto& range = *options.reward_range;
    if (!(range.first < range.second) || !std::isfinite(range.first) || !std::isfinite(range.second))
      return make_error(Code::kValue,
                        fmt::format("the range of rewards [{}, {}] is empty or not finite", range.first, range.second));
    if (*low < range.first || *high > range.second)
      return make_error(Code::kValue, fmt::format("rewards lie in [{}, {}], outside the declared [{}, {}]", *low, *high,
                                                  range.first, range.second));
    e.reward_range_ = range;
  }
  if (options.max_weight && !(*options.max_weight >= e.support_.largest_weight && *options.max_weight > 0)) {
    return make_error(Code::kValue, fmt::format("max_weight is {}, and a weight of {} was seen", *options.max_weight,
                                                e.support_.largest_weight));
  }
  if (features != nullptr) {
    PL_CHECK(base::check_size("Evaluation::of_rows", "rows of features", features->rows(), n));
    PL_CHECK(base::check_size("Evaluation::of_rows", "rows of target", e.rows_.target.rows(), n));
    PL_CHECK(base::check_labels("Evaluation::of_rows", "action", e.rows_.action, static_cast<int>(e.rows_.actions)));
  }
  if (features != nullptr && e.support_.units >= options.model.folds) {
    RewardModelOptions model = options.model;
    model.cancel = options.cancel;
    PL_TRY(const std::vector<int> fold, folds_of(e.rows_, model.folds, rng));
    PL_TRY(e.q_, cross_fitted_rewards(e.rows_, *features, fold, model));
    PL_TRY(e.q_least_, least_variance_rewards(e.rows_, *features, fold, model));
    e.with_model_ = true;
  }
  return e;
}

base::Result<stats::Estimate> Evaluation::logged_value() const {
  PL_TRY(stats::Estimate estimate, stats::mean(rows_.reward, rows_.unit));
  return estimate;
}

base::Result<Evaluation::Parts> Evaluation::parts(Estimator estimator) const {
  Parts out;
  if (estimator == Estimator::kAuto) {
    PL_TRY(out.choice, shrinkage_choice(rows_, q_));
    return out;
  }
  PL_TRY(Terms terms,
         estimator_terms(estimator, rows_, estimator == Estimator::kMrdr ? q_least_ : q_, options_.tuning));
  out.base = std::move(terms.base);
  if (!terms.num.empty()) out.ratios.push_back({std::move(terms.num), std::move(terms.den), 1});
  return out;
}

base::Result<std::pair<double, double>> Evaluation::term_range(Estimator estimator) const {
  double largest = 0;
  const auto n = static_cast<double>(rows_.size());
  if (estimator == Estimator::kClipped) {
    largest = options_.tuning.clip > 0 ? options_.tuning.clip : std::sqrt(n);
  } else if (estimator == Estimator::kShrunk) {
    largest = std::sqrt(options_.tuning.lambda > 0 ? options_.tuning.lambda : n) / 2;
  } else if (options_.max_weight) {
    largest = *options_.max_weight;
  } else if (rows_.weight_bound) {
    largest = *rows_.weight_bound;
  } else {
    return make_error(Code::kValue, "the largest weight is not known: the log holds no probabilities of all actions",
                      {}, "declare max_weight, or take clipped or shrunk, whose weights are bounded");
  }
  return std::pair(std::min(0.0, reward_range_.first) * largest, std::max(0.0, reward_range_.second) * largest);
}

base::Status Evaluation::bound(const Parts& parts, Interval interval, std::optional<std::pair<double, double>> range,
                               PolicyValue& out) const {
  PL_TRY(const stats::UnitIndex index, stats::group_units(rows_.unit, rows_.size()));
  const std::vector<double> ones(rows_.size(), 1.0);
  const std::vector<double> count = by_unit(ones, index);
  const std::string unit = rows_.unit.empty() ? "row" : "unit";

  if (parts.choice) {
    // No interval is shorter than that of the unbiased candidate without a bound on the bias (Low 1997): the bounds are
    // the unbiased ones, made to hold the chosen figure.
    const Choice& choice = *parts.choice;
    Parts unbiased;
    unbiased.base = choice.terms.front();
    PL_CHECK(bound(unbiased, interval, range, out));
    std::vector<std::vector<double>> sums;
    for (const auto& terms : choice.terms) sums.push_back(by_unit(terms, index));
    const auto values_of = [&](std::span<const std::size_t> units) {
      std::vector<double> values(sums.size());
      double rows = 0;
      for (const std::size_t u : units) rows += count[u];
      for (std::size_t c = 0; c < sums.size(); ++c) {
        double total = 0;
        for (const std::size_t u : units) total += sums[c][u];
        values[c] = total / rows;
      }
      return values;
    };
    std::vector<std::size_t> units(index.count());
    for (std::size_t u = 0; u < units.size(); ++u) units[u] = u;
    const std::vector<double> values = values_of(units);
    const std::size_t chosen = choice.choose(values);
    out.lambda = choice.lambda[chosen];
    out.bias_gap = values[chosen] - values.front();
    // The whole walk again on resamples, against the unbiased figure: the root of variance plus squared gap.
    constexpr std::size_t kWalks = 200;
    std::vector<double> squares(kWalks);
    const base::Rng walks = rng_.fork("walks");
    for (std::size_t r = 0; r < kWalks; ++r) {
      base::Rng stream = walks.fork(r);
      for (std::size_t& u : units) u = stream.below(index.count());
      const std::vector<double> again = values_of(units);
      squares[r] = std::pow(again[choice.choose(again)] - values.front(), 2);
    }
    out.choice_error = std::sqrt(base::ordered_mean(squares));
    out.estimate.value = values[chosen];
    out.estimate.method += " of the unbiased candidate";
    for (auto& b : out.estimate.bounds.lower) {
      if (b) *b = std::min(*b, values[chosen]);
    }
    for (auto& b : out.estimate.bounds.upper) {
      if (b) *b = std::max(*b, values[chosen]);
    }
    return base::ok();
  }

  std::vector<double> base_sums = by_unit(parts.base, index);
  std::vector<std::pair<std::vector<double>, std::vector<double>>> ratio_sums;
  for (const auto& r : parts.ratios) ratio_sums.emplace_back(by_unit(r.num, index), by_unit(r.den, index));
  const auto statistic = [&](std::span<const std::size_t> units) {
    double rows = 0;
    double total = 0;
    for (const std::size_t u : units) {
      rows += count[u];
      total += base_sums[u];
    }
    double value = total / rows;
    for (std::size_t k = 0; k < ratio_sums.size(); ++k) {
      double num = 0;
      double den = 0;
      for (const std::size_t u : units) {
        num += ratio_sums[k].first[u];
        den += ratio_sums[k].second[u];
      }
      value += parts.ratios[k].sign * (den > 0 ? num / den : kNaN);
    }
    return value;
  };
  std::vector<std::size_t> all(index.count());
  for (std::size_t u = 0; u < all.size(); ++u) all[u] = u;

  switch (interval) {
    case Interval::kBootstrap: {
      stats::BootstrapOptions bootstrap;
      bootstrap.replicates = options_.replicates;
      bootstrap.unit_of_sampling = unit;
      bootstrap.cancel = options_.cancel;
      PL_TRY(out.estimate, stats::bootstrap(index.count(), statistic, bootstrap, rng_.fork("bootstrap")));
      break;
    }
    case Interval::kNormal: {
      const double value = statistic(all);
      const auto n = static_cast<double>(rows_.size());
      std::vector<double> influence = parts.base;
      for (const auto& r : parts.ratios) {
        const double den = base::ordered_sum(r.den);
        const double ratio = base::ordered_sum(r.num) / den;
        for (std::size_t j = 0; j < influence.size(); ++j)
          influence[j] += r.sign * (ratio + (r.num[j] - ratio * r.den[j]) * n / den);
      }
      PL_TRY(out.estimate, stats::mean(influence, rows_.unit));
      out.estimate.value = value;
      out.estimate.method = fmt::format("influence function, {}", out.estimate.method);
      break;
    }
    case Interval::kBernstein: {
      PL_TRY(out.estimate, stats::empirical_bernstein(parts.base, range->first, range->second));
      break;
    }
    case Interval::kAnytime: {
      PL_TRY(out.estimate, stats::betting(parts.base, range->first, range->second));
      break;
    }
    case Interval::kLikelihood: {
      std::vector<double> wr(rows_.size());
      for (std::size_t j = 0; j < wr.size(); ++j) wr[j] = rows_.weight[j] * rows_.reward[j];
      PL_TRY(out.estimate, weighted_likelihood(by_unit(wr, index), by_unit(rows_.weight, index), count));
      break;
    }
  }
  out.estimate.unit_of_sampling = unit;
  return base::ok();
}

void Evaluation::widen(double missing, bool model, bool gain, PolicyValue& out) const {
  if (!(missing > 0)) return;
  const double span = missing * (reward_range_.second - reward_range_.first);
  const double down = model || gain ? -span : missing * reward_range_.first;
  const double up = model || gain ? span : missing * reward_range_.second;
  for (auto& b : out.estimate.bounds.lower) {
    if (b) *b += std::min(0.0, down);
  }
  for (auto& b : out.estimate.bounds.upper) {
    if (b) *b += std::max(0.0, up);
  }
  if (!options_.reward_range)
    out.estimate.assumptions.push_back(
        fmt::format("rewards lie in the range seen, [{:.6g}, {:.6g}]", reward_range_.first, reward_range_.second));
}

base::Result<PolicyValue> Evaluation::value(Estimator estimator, Interval interval) const {
  PolicyValue out;
  out.estimator = estimator;
  out.interval = interval;
  if (interval == Interval::kLikelihood && estimator != Estimator::kIps && estimator != Estimator::kSnips)
    return make_error(Code::kValue,
                      fmt::format("likelihood bounds are for ips and snips, not for {}", estimator_name(estimator)), {},
                      "take bootstrap or normal");
  std::optional<std::pair<double, double>> range;
  if (interval == Interval::kBernstein || interval == Interval::kAnytime) {
    if (!bounded_terms(estimator))
      return make_error(Code::kValue, fmt::format("{} bounds are for ips, clipped and shrunk, not for {}",
                                                  interval_name(interval), estimator_name(estimator)));
    if (!rows_.unit.empty())
      return make_error(
          Code::kValue,
          fmt::format("{} bounds need independent rows, and these cluster in units", interval_name(interval)), {},
          "take bootstrap, normal or likelihood");
    PL_TRY(range, term_range(estimator));
    if (!(range->first < range->second)) {
      return make_error(Code::kValue, "all rewards are 0: their range is not known", {},
                        "declare the range of rewards");
    }
  }
  const bool by_limit = interval == Interval::kBootstrap || interval == Interval::kNormal;
  const Judgement judged = judge_support(support_, estimator != Estimator::kDirect, by_limit);
  out.outcome = judged.outcome;
  out.reasons = judged.reasons;
  if (out.outcome == Outcome::kCannotSay) {
    out.estimate.value = kNaN;
    return out;
  }
  if (needs_model(estimator) && !with_model_)
    return make_error(Code::kValue,
                      fmt::format("{} needs the model of the reward, which was left out", estimator_name(estimator)));
  PL_TRY(const Parts terms, parts(estimator));
  PL_CHECK(bound(terms, interval, range, out));
  widen(support_.missing, needs_model(estimator), false, out);
  out.estimate.n = support_.units;
  out.estimate.n_effective = estimator == Estimator::kDirect ? support_.units : support_.effective_size;
  if (range) {
    out.estimate.assumptions.push_back(options_.reward_range
                                           ? "the declared range of rewards"
                                           : fmt::format("rewards lie in the range seen, [{:.6g}, {:.6g}]",
                                                         reward_range_.first, reward_range_.second));
    if (estimator == Estimator::kIps)
      out.estimate.assumptions.emplace_back(options_.max_weight
                                                ? "the declared largest weight"
                                                : "the largest weight is that of the logged probabilities");
  }
  if (estimator == Estimator::kDirect) {
    out.outcome = std::max(out.outcome, Outcome::kWarns);
    out.reasons.emplace_back("the error of the reward model is not in the bounds");
  }
  if (estimator == Estimator::kClipped || estimator == Estimator::kShrunk || estimator == Estimator::kDrShrunk ||
      estimator == Estimator::kSwitch)
    out.estimate.assumptions.emplace_back("the bias of cutting weights is small; the bounds are of the cut figure");
  for (const std::string& reason : out.reasons) out.estimate.warnings.push_back(reason);
  return out;
}

base::Result<PolicyValue> Evaluation::gain(const Evaluation* other, Estimator estimator, Interval interval) const {
  if (estimator == Estimator::kAuto || interval == Interval::kLikelihood) {
    return make_error(Code::kValue, "a gain has neither the estimator auto nor the bounds likelihood", {},
                      "take dr with bootstrap or normal");
  }
  if (other != nullptr && (other->rows_.row != rows_.row || other->rows_.reward != rows_.reward))
    return make_error(Code::kShape, "gain: the two policies were evaluated on different rows");
  PolicyValue out;
  out.estimator = estimator;
  out.interval = interval;
  std::optional<std::pair<double, double>> range;
  if (interval == Interval::kBernstein || interval == Interval::kAnytime) {
    if (!bounded_terms(estimator) || !rows_.unit.empty())
      return make_error(Code::kValue,
                        fmt::format("{} bounds of a gain are for ips, clipped and shrunk on independent rows",
                                    interval_name(interval)));
    PL_TRY(range, term_range(estimator));
    std::pair<double, double> off = reward_range_;
    if (other != nullptr) {
      PL_TRY(off, other->term_range(estimator));
    }
    *range = {range->first - off.second, range->second - off.first};
    if (!(range->first < range->second))
      return make_error(Code::kValue, "all rewards are equal: their range is not known", {},
                        "declare the range of rewards");
  }
  const bool by_limit = interval == Interval::kBootstrap || interval == Interval::kNormal;
  Judgement judged = judge_support(support_, estimator != Estimator::kDirect, by_limit);
  if (other != nullptr) {
    const Judgement second = judge_support(other->support_, estimator != Estimator::kDirect, by_limit);
    judged.outcome = std::max(judged.outcome, second.outcome);
    for (const std::string& reason : second.reasons) judged.reasons.push_back("of the other policy: " + reason);
  }
  out.outcome = judged.outcome;
  out.reasons = judged.reasons;
  if (out.outcome == Outcome::kCannotSay) {
    out.estimate.value = kNaN;
    return out;
  }
  if (needs_model(estimator) && (!with_model_ || (other != nullptr && !other->with_model_)))
    return make_error(Code::kValue,
                      fmt::format("{} needs the model of the reward, which was left out", estimator_name(estimator)));
  PL_TRY(Parts terms, parts(estimator));
  if (other != nullptr) {
    PL_TRY(Parts second, other->parts(estimator));
    terms.subtract(std::move(second));
  } else {
    Parts second;
    second.base = rows_.reward;
    terms.subtract(std::move(second));
  }
  PL_CHECK(bound(terms, interval, range, out));
  widen(support_.missing + (other != nullptr ? other->support_.missing : 0.0), true, true, out);
  out.estimate.n = support_.units;
  out.estimate.n_effective = estimator == Estimator::kDirect ? support_.units : support_.effective_size;
  out.estimate.assumptions.emplace_back("both policies are compared on the same rows");
  if (estimator == Estimator::kDirect) {
    out.outcome = std::max(out.outcome, Outcome::kWarns);
    out.reasons.emplace_back("the error of the reward model is not in the bounds");
  }
  for (const std::string& reason : out.reasons) out.estimate.warnings.push_back(reason);
  return out;
}

}  // namespace plumbline::counterfactual
