#include "plumbline/counterfactual/effects/overlap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/parts.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// Mean and variance of a column in an arm under weights.
struct Spread {
  double mean = 0;
  double variance = 0;
};

Spread spread_of(const Study& study, Index column, const VectorD& weights, bool treated) {
  double total = 0, mean = 0;
  for (Index i = 0; i < study.x.rows(); ++i) {
    if ((study.treatment(i) > 0.5) != treated) continue;
    const double w = weights.size() > 0 ? weights(i) : 1;
    total += w;
    mean += w * study.x(i, column);
  }
  mean /= total;
  double variance = 0;
  for (Index i = 0; i < study.x.rows(); ++i) {
    if ((study.treatment(i) > 0.5) != treated) continue;
    const double w = weights.size() > 0 ? weights(i) : 1;
    variance += w * (study.x(i, column) - mean) * (study.x(i, column) - mean);
  }
  return {mean, variance / total};
}

double largest_share(const VectorD& weights, const VectorD& treatment, bool treated) {
  double total = 0, largest = 0;
  for (Index i = 0; i < weights.size(); ++i) {
    if ((treatment(i) > 0.5) != treated) continue;
    total += weights(i);
    largest = std::max(largest, weights(i));
  }
  return largest / total;
}

}  // namespace

double effective_size(const VectorD& weights, const VectorD& treatment, bool treated) {
  double sum = 0, squares = 0;
  for (Index i = 0; i < weights.size(); ++i) {
    if ((treatment(i) > 0.5) != treated) continue;
    sum += weights(i);
    squares += weights(i) * weights(i);
  }
  return sum * sum / squares;
}

Overlap overlap_of(const Study& study, const VectorD& weights, const VectorD& propensity, Estimand estimand) {
  Overlap out;
  out.size_treated = effective_size(weights, study.treatment, true);
  out.size_untreated = effective_size(weights, study.treatment, false);
  out.largest_treated = largest_share(weights, study.treatment, true);
  out.largest_untreated = largest_share(weights, study.treatment, false);
  out.lowest = out.highest = out.outside = std::numeric_limits<double>::quiet_NaN();
  if (propensity.size() == 0) return out;
  out.lowest = propensity.minCoeff();
  out.highest = propensity.maxCoeff();
  double outside = 0;
  for (Index i = 0; i < propensity.size(); ++i) {
    const bool high = propensity(i) > 0.99;
    if (estimand == Estimand::kAte && (high || propensity(i) < 0.01)) outside += 1;
    if (estimand == Estimand::kAtt && high && study.treatment(i) > 0.5) outside += 1;
  }
  out.outside = outside / static_cast<double>(estimand == Estimand::kAtt ? study.treated_rows() : study.n());
  return out;
}

void judge_arms(const Study& study, bool fits_each_arm, Effect& effect) {
  const std::size_t least = std::max<std::size_t>(10, fits_each_arm ? study.columns.size() + 2 : 0);
  for (const bool treated : {true, false}) {
    const std::size_t rows = treated ? study.treated_rows() : study.n() - study.treated_rows();
    if (rows < least)
      refuse(effect, fmt::format("{} rows have {} = {}, of at least {}", rows, study.treatment_name,
                                 treated ? study.treated : study.untreated, least));
  }
}

void judge_overlap(const Study& study, Effect& effect) {
  const Overlap o = overlap_of(study, effect.weights, effect.propensity, effect.estimand);
  const std::string whom = effect.estimand == Estimand::kAtt ? "of the treated" : "of rows";
  std::vector<std::string> refused, warned;
  if (o.outside > kOutsideRefused || o.outside > kOutsideWarned)
    (o.outside > kOutsideRefused ? refused : warned)
        .push_back(
            fmt::format("{:.1f} % {} had hardly a chance of the other treatment (propensity outside [0.01, 0.99])",
                        100 * o.outside, whom));
  for (const bool treated : {true, false}) {
    const double size = treated ? o.size_treated : o.size_untreated;
    const double largest = treated ? o.largest_treated : o.largest_untreated;
    const char* arm = treated ? "treated" : "untreated";
    const auto rows = static_cast<double>(treated ? study.treated_rows() : study.n() - study.treated_rows());
    if (size < kSizeWarned && size < 0.5 * rows)
      (size < kSizeRefused ? refused : warned)
          .push_back(fmt::format("after weighting the {:.0f} {} rows are worth {:.1f}", rows, arm, size));
    if (largest > kLargestWarned)
      (largest > kLargestRefused ? refused : warned)
          .push_back(fmt::format("one {} row has {:.0f} % of its arm's weight", arm, 100 * largest));
  }
  for (const std::string& reason : warned) warn(effect, reason);
  for (const std::string& reason : refused) refuse(effect, reason);
}

std::vector<Balance> balance_of(const Study& study, const VectorD& weights, Estimand estimand) {
  std::vector<Balance> out;
  for (std::size_t j = 0; j < study.columns.size(); ++j) {
    const auto column = static_cast<Index>(j);
    const Spread treated = spread_of(study, column, {}, true);
    const Spread untreated = spread_of(study, column, {}, false);
    const double variance =
        estimand == Estimand::kAtt ? treated.variance : 0.5 * (treated.variance + untreated.variance);
    const double scale = std::sqrt(variance > 0 ? variance : std::max(untreated.variance, 1e-300));
    Balance b{study.columns[j], (treated.mean - untreated.mean) / scale, std::numeric_limits<double>::quiet_NaN()};
    if (weights.size() > 0)
      b.after = (spread_of(study, column, weights, true).mean - spread_of(study, column, weights, false).mean) / scale;
    out.push_back(std::move(b));
  }
  return out;
}

double largest_imbalance(const std::vector<Balance>& balance) {
  double out = 0;
  for (const Balance& b : balance) out = std::max(out, std::abs(std::isnan(b.after) ? b.before : b.after));
  return out;
}

}  // namespace plumbline::counterfactual::effects
