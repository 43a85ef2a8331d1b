#include "plumbline/counterfactual/learning/pessimistic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/counterfactual/learning/ridge.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/minimise.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using base::Code;
using base::make_error;

/// Rows a block: gradients are added block by block, in order.
constexpr std::size_t kBlock = 2048;

/// Probabilities of the available actions of each row, beside `rows.available`.
std::vector<double> all_probabilities(const SoftmaxRows& rows, const std::vector<double>& theta) {
  std::vector<double> p(rows.available.size());
  const std::size_t d = rows.features;
  const std::size_t blocks = (rows.size() + kBlock - 1) / kBlock;
  (void)base::parallel_for(blocks, [&](std::size_t b) -> base::Status {
    std::vector<double> score;
    for (std::size_t i = b * kBlock; i < std::min(rows.size(), (b + 1) * kBlock); ++i) {
      const std::size_t first = rows.start[i];
      const std::size_t count = rows.start[i + 1] - first;
      score.assign(count, 0.0);
      const double* x = rows.x.data() + i * d;
      for (std::size_t k = 0; k < count; ++k) {
        const double* row = theta.data() + static_cast<std::size_t>(rows.available[first + k]) * d;
        for (std::size_t j = 0; j < d; ++j) score[k] += row[j] * x[j];
      }
      softmax(score, 1, std::span(p).subspan(first, count));
    }
    return base::ok();
  });
  return p;
}

/// sum_i slope_i dw_i / dtheta.
void add_weight_gradient(const SoftmaxRows& rows, const std::vector<double>& p, const std::vector<double>& slope,
                         std::vector<double>& gradient) {
  const std::size_t d = rows.features;
  const std::size_t blocks = (rows.size() + kBlock - 1) / kBlock;
  std::vector<std::vector<double>> parts(blocks);
  (void)base::parallel_for(blocks, [&](std::size_t b) -> base::Status {
    parts[b].assign(gradient.size(), 0.0);
    for (std::size_t i = b * kBlock; i < std::min(rows.size(), (b + 1) * kBlock); ++i) {
      const std::size_t first = rows.start[i];
      const double weight = p[first + rows.taken[i]] / rows.propensity[i];
      const double* x = rows.x.data() + i * d;
      for (std::size_t k = 0; k < rows.start[i + 1] - first; ++k) {
        const double along = slope[i] * weight * ((k == rows.taken[i] ? 1.0 : 0.0) - p[first + k]);
        double* row = parts[b].data() + static_cast<std::size_t>(rows.available[first + k]) * d;
        for (std::size_t j = 0; j < d; ++j) row[j] += along * x[j];
      }
    }
    return base::ok();
  });
  for (const auto& part : parts) {
    for (std::size_t j = 0; j < gradient.size(); ++j) gradient[j] += part[j];
  }
}

SoftmaxRows softmax_rows(const data::DecisionLog& log, const OpeRows& rows, const std::vector<std::size_t>& which,
                         const BoundFeatures& features) {
  SoftmaxRows out;
  out.features = features.size();
  out.actions = log.actions();
  out.start.push_back(0);
  out.x.resize(which.size() * out.features);
  std::vector<int> every;
  for (std::size_t k = 0; k < which.size(); ++k) {
    const std::size_t j = which[k];
    const std::size_t i = rows.row[j];
    features.row(i, std::span(out.x).subspan(k * out.features, out.features));
    const auto available = log.available(i, every);
    const auto at = std::find(available.begin(), available.end(), rows.action[j]);
    out.taken.push_back(static_cast<std::size_t>(at - available.begin()));
    out.available.insert(out.available.end(), available.begin(), available.end());
    out.start.push_back(out.available.size());
    out.reward.push_back(rows.reward[j]);
    out.propensity.push_back(rows.propensity[j]);
  }
  return out;
}

/// Ridge regression of the reward for each action, in units of a tenth of the rewards' deviation: sharp, not certain.
std::vector<double> regression_start(const SoftmaxRows& rows) {
  ActionRidge model(rows.actions, rows.features, 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto action = static_cast<std::size_t>(rows.available[rows.start[i] + rows.taken[i]]);
    model.update(action, std::span(rows.x).subspan(i * rows.features, rows.features), rows.reward[i]);
  }
  const double deviation = std::sqrt(stats::moments(rows.reward).variance);
  std::vector<double> theta;
  for (std::size_t a = 0; a < rows.actions; ++a) {
    for (const double v : model.coefficients(a)) theta.push_back(deviation > 0 ? 10 * v / deviation : 0);
  }
  return theta;
}

OpeRows subset(const OpeRows& rows, const std::vector<std::size_t>& which) {
  OpeRows out;
  out.logged = rows.logged;
  out.actions = rows.actions;
  out.excluded = rows.excluded;
  out.weight_bound = rows.weight_bound;
  out.target = MatrixD(static_cast<Eigen::Index>(which.size()), rows.target.cols());
  for (std::size_t k = 0; k < which.size(); ++k) {
    const std::size_t j = which[k];
    out.row.push_back(rows.row[j]);
    out.action.push_back(rows.action[j]);
    out.reward.push_back(rows.reward[j]);
    out.propensity.push_back(rows.propensity[j]);
    out.weight.push_back(rows.weight[j]);
    out.missing.push_back(rows.missing[j]);
    if (!rows.unit.empty()) out.unit.push_back(rows.unit[j]);
    out.target.row(static_cast<Eigen::Index>(k)) = rows.target.row(static_cast<Eigen::Index>(j));
  }
  return out;
}

}  // namespace

double pessimistic_objective(const SoftmaxRows& rows, const std::vector<double>& theta, double penalty, double range,
                             double ridge, std::vector<double>* gradient) {
  const std::size_t n = rows.size();
  const std::vector<double> p = all_probabilities(rows, theta);
  std::vector<double> weight(n);
  std::vector<double> product(n);
  for (std::size_t i = 0; i < n; ++i) {
    weight[i] = p[rows.start[i] + rows.taken[i]] / rows.propensity[i];
    product[i] = weight[i] * rows.reward[i];
  }
  const double total = base::ordered_sum(weight);
  const double value = base::ordered_sum(product) / total;
  std::vector<double> square(n);
  std::vector<double> cross(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double gap = rows.reward[i] - value;
    cross[i] = weight[i] * weight[i] * gap;
    square[i] = cross[i] * gap;
  }
  const double squares = base::ordered_sum(square);
  const double error = std::sqrt(squares) / total;
  std::vector<double> weight_square(n);
  for (std::size_t i = 0; i < n; ++i) weight_square[i] = weight[i] * weight[i];
  const double inverse_size = base::ordered_sum(weight_square) / (total * total);
  const double price = 7.0 / 6 * penalty * penalty * range;
  double size = 0;
  for (const double v : theta) size += v * v;
  if (gradient != nullptr) {
    const double crossed = base::ordered_sum(cross);
    std::vector<double> slope(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double gap = rows.reward[i] - value;
      slope[i] = gap / total - price * 2 * (weight[i] / total - inverse_size) / total;
      if (squares > 0) {
        const double of_squares = 2 * weight[i] * gap * gap - 2 * crossed * gap / total;
        slope[i] -= penalty * (of_squares / (2 * std::sqrt(squares) * total) - std::sqrt(squares) / (total * total));
      }
    }
    gradient->assign(theta.size(), 0.0);
    add_weight_gradient(rows, p, slope, *gradient);
    for (std::size_t j = 0; j < theta.size(); ++j) (*gradient)[j] -= 2 * ridge * theta[j];
  }
  return value - penalty * error - price * inverse_size - ridge * size;
}

base::Result<PessimisticFit> learn_pessimistic(const data::DecisionLog& log, const PessimisticOptions& options,
                                               const ValueOptions& judging, std::uint64_t seed) {
  constexpr double kMax = std::numeric_limits<double>::max();
  PL_CHECK(base::check_in("learn_pessimistic", "penalty", options.penalty, 0, kMax));
  PL_CHECK(base::check_in("learn_pessimistic", "ridge", options.ridge, 0, kMax));
  PL_CHECK(base::check_in_open("learn_pessimistic", "judge_share", options.judge_share, 0, 1));
  PL_TRY(const TargetPtr uniform, make_policy({.rule = "uniform"}, log));
  PL_TRY(const OpeRows rows, usable_rows(log, *uniform, false));
  PL_TRY(const stats::UnitIndex units, stats::group_units(rows.unit, rows.size()));
  constexpr std::size_t kLeastUnits = 60;
  if (units.count() < kLeastUnits)
    return make_error(Code::kValue, fmt::format("{} units can be used, at least {} are needed to fit and to judge",
                                                units.count(), kLeastUnits));
  const base::Rng rng(seed, {"pessimistic"});
  std::vector<bool> judge(units.count(), false);
  base::Rng split = rng.fork("split");
  const auto kept = static_cast<std::size_t>(std::lround(options.judge_share * static_cast<double>(units.count())));
  for (const std::size_t u : split.sample(units.count(), kept)) judge[u] = true;
  std::vector<std::size_t> fit;
  std::vector<std::size_t> rest;
  for (std::size_t j = 0; j < rows.size(); ++j) (judge[units.unit_of_row[j]] ? rest : fit).push_back(j);
  if (fit.empty() || rest.empty())
    return make_error(Code::kValue, fmt::format("judge_share {} leaves no units on one side", options.judge_share));

  PessimisticFit out;
  out.policy.actions = log.action_names;
  out.policy.features = FeatureMap::of(log.context);
  out.policy.seed = seed;
  out.policy.rows = fit.size();
  out.excluded = rows.excluded;
  PL_TRY(const BoundFeatures features, BoundFeatures::bind(out.policy.features, log.context));
  const SoftmaxRows fitting = softmax_rows(log, rows, fit, features);
  const auto [low, high] = std::minmax_element(fitting.reward.begin(), fitting.reward.end());
  const double range = judging.reward_range ? judging.reward_range->second - judging.reward_range->first : *high - *low;
  const auto downhill = [&](const std::vector<double>& theta, std::vector<double>& gradient) {
    const double value = pessimistic_objective(fitting, theta, options.penalty, range, options.ridge, &gradient);
    for (double& g : gradient) g = -g;
    return -value;
  };
  const stats::MinimiseOptions minimising{
      .iterations = options.iterations, .tolerance = 1e-7, .accepted = {}, .cancel = options.cancel};
  out.objective = -std::numeric_limits<double>::infinity();
  for (std::vector<double> start :
       {std::vector<double>(fitting.actions * fitting.features, 0.0), regression_start(fitting)}) {
    PL_TRY(stats::Minimum minimum, stats::minimise(downhill, std::move(start), minimising));
    if (-minimum.value <= out.objective) continue;
    out.objective = -minimum.value;
    out.iterations = minimum.iterations;
    out.policy.weights = std::move(minimum.x);
  }
  out.fitted = fit.size();
  out.judged = rest.size();

  PL_TRY(const TargetPtr target, frozen_policy(out.policy, log));
  PL_TRY(const OpeRows weighed, usable_rows(log, *target, true));
  OpeRows held = subset(weighed, rest);
  out.logged = base::ordered_mean(held.reward);
  const ContextFeatures context = context_features(log, held);
  PL_TRY(const Evaluation evaluation,
         Evaluation::of_rows(std::move(held), &context.values, judging, rng.fork("judge")));
  for (const Estimator estimator : {Estimator::kSnips, Estimator::kDr}) {
    PL_TRY(PolicyValue value, evaluation.value(estimator, Interval::kNormal));
    out.values.push_back(std::move(value));
    PL_TRY(PolicyValue gain, evaluation.gain(nullptr, estimator, Interval::kNormal));
    out.gains.push_back(std::move(gain));
  }
  return out;
}

}  // namespace plumbline::counterfactual::learning
