// estimate: the value of a policy on a log, and its gain.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::cli {
namespace {

using counterfactual::Estimator;
using counterfactual::Evaluation;
using counterfactual::Outcome;
using counterfactual::PolicyValue;
using nlohmann::ordered_json;

constexpr double kLevel = 0.95;

ordered_json number(std::optional<double> value) {
  return value && std::isfinite(*value) ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json as_json(const PolicyValue& v) {
  ordered_json out = {{"estimator", counterfactual::estimator_name(v.estimator)},
                      {"ci", counterfactual::interval_name(v.interval)},
                      {"outcome", counterfactual::outcome_name(v.outcome)},
                      {"reasons", v.reasons},
                      {"value", number(v.estimate.value)},
                      {"low", number(v.estimate.low(kLevel))},
                      {"high", number(v.estimate.high(kLevel))},
                      {"level", kLevel},
                      {"n", v.estimate.n},
                      {"n_effective", v.estimate.n_effective},
                      {"method", v.estimate.method},
                      {"anytime", v.estimate.anytime},
                      {"assumptions", v.estimate.assumptions},
                      {"warnings", v.estimate.warnings}};
  if (v.lambda) {
    // Infinity, the unbiased candidate, is null.
    out["lambda"] = number(v.lambda);
    out["bias_gap"] = number(v.bias_gap);
    out["choice_error"] = number(v.choice_error);
  }
  return out;
}

void print_line(const PolicyValue& v) {
  const std::string name(counterfactual::estimator_name(v.estimator));
  if (v.outcome == Outcome::kCannotSay) {
    std::cout << fmt::format("  {:<10} cannot say: {}\n", name, fmt::join(v.reasons, "; "));
    return;
  }
  const auto low = v.estimate.low(kLevel);
  const auto high = v.estimate.high(kLevel);
  const std::string bounds = low && high ? fmt::format("[{:.6g}, {:.6g}]", *low, *high) : "no bounds";
  std::cout << fmt::format("  {:<10} {:<12.6g} {}\n", name, v.estimate.value, bounds);
  if (v.lambda)
    std::cout << fmt::format(
        "  {:<10} lambda {:.4g}, {:+.4g} from the unbiased figure, root mean squared error {:.4g}\n", "", *v.lambda,
        *v.bias_gap, *v.choice_error);
  for (const std::string& reason : v.estimate.warnings) std::cout << fmt::format("  {:<10} ! {}\n", "", reason);
}

}  // namespace

base::Result<int> run_estimate(const Session& session) {
  const EstimateOptions& o = session.options.estimate;
  data::LogOptions reading;
  if (!o.format.empty()) {
    PL_TRY(reading.format, data::parse_log_format(o.format));
  }
  reading.id = o.id;
  reading.time = o.time;
  reading.unit = o.unit;
  reading.position = o.position;
  reading.action = o.action;
  reading.propensity = o.propensity;
  reading.reward = o.reward;
  reading.context = o.context;
  reading.limit = o.limit;
  std::vector<Estimator> estimators;
  for (const std::string& name : o.estimators) {
    PL_TRY(const Estimator estimator, counterfactual::parse_estimator(name));
    if (std::find(estimators.begin(), estimators.end(), estimator) == estimators.end()) estimators.push_back(estimator);
  }
  PL_TRY(const counterfactual::Interval interval, counterfactual::parse_interval(o.ci));
  PL_TRY(counterfactual::PolicySpec spec, counterfactual::parse_policy(o.policy));
  spec.epsilon = o.epsilon;
  spec.temperature = o.temperature;
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.log, reading));
  PL_TRY(const counterfactual::TargetPtr target, counterfactual::make_policy(spec, log));
  counterfactual::ValueOptions options;
  options.cancel = session.cancel;
  if (o.reward_range.size() == 2) options.reward_range = std::pair(o.reward_range[0], o.reward_range[1]);
  if (o.max_weight > 0) options.max_weight = o.max_weight;
  const bool model = std::any_of(estimators.begin(), estimators.end(), counterfactual::needs_model);
  const base::Rng rng(session.options.seed, {"estimate"});
  PL_TRY(const Evaluation evaluation, Evaluation::make(log, *target, model, options, rng));
  std::optional<Evaluation> other;
  if (!o.against.empty()) {
    PL_TRY(const counterfactual::PolicySpec against, counterfactual::parse_policy(o.against));
    PL_TRY(const counterfactual::TargetPtr second, counterfactual::make_policy(against, log));
    PL_TRY(other, Evaluation::make(log, *second, model, options, rng));
  }

  std::vector<PolicyValue> values;
  std::vector<PolicyValue> gains;
  for (const Estimator estimator : estimators) {
    PL_TRY(PolicyValue value, evaluation.value(estimator, interval));
    values.push_back(std::move(value));
    // A gain has neither a choice among estimators nor a likelihood.
    if (estimator == Estimator::kAuto || interval == counterfactual::Interval::kLikelihood) continue;
    PL_TRY(PolicyValue gain, evaluation.gain(other ? &*other : nullptr, estimator, interval));
    gains.push_back(std::move(gain));
  }
  PL_TRY(const stats::Estimate logged, evaluation.logged_value());
  const counterfactual::Support& support = evaluation.support();
  const counterfactual::OpeRows& rows = evaluation.rows();
  const bool says =
      std::any_of(values.begin(), values.end(), [](const PolicyValue& v) { return v.outcome != Outcome::kCannotSay; });
  const int status = says ? 0 : 3;

  if (session.options.json) {
    ordered_json out = {{"log", o.log},
                        {"policy", o.policy},
                        {"against", o.against.empty() ? ordered_json("logged") : ordered_json(o.against)},
                        {"seed", session.options.seed},
                        {"decisions", rows.logged},
                        {"used", rows.size()},
                        {"excluded", rows.excluded.words()},
                        {"excluded_share", support.excluded_share},
                        {"support",
                         {{"units", support.units},
                          {"effective_size", support.effective_size},
                          {"largest_weight", support.largest_weight},
                          {"largest_share", support.largest_share},
                          {"mean_weight", support.mean_weight},
                          {"mean_weight_p", support.mean_weight_p},
                          {"unsupported", support.missing}}},
                        {"logged",
                         {{"value", logged.value},
                          {"low", number(logged.low(kLevel))},
                          {"high", number(logged.high(kLevel))},
                          {"method", logged.method}}},
                        {"values", ordered_json::array()},
                        {"gains", ordered_json::array()}};
    for (const PolicyValue& v : values) out["values"].push_back(as_json(v));
    for (const PolicyValue& v : gains) out["gains"].push_back(as_json(v));
    std::cout << out.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
    return status;
  }
  const std::string left = rows.excluded.words();
  std::cout << fmt::format("{} on {}\n\n", printable(o.policy), printable(o.log));
  std::cout << fmt::format("Decisions   {} of {} used{}{}\n", rows.size(), rows.logged, left.empty() ? "" : "; ", left);
  std::cout << fmt::format(
      "Support     effective size {:.1f} of {}, mean weight {:.4g} (1 expected), largest {:.4g}, unsupported {:.3g}\n",
      support.effective_size, support.units, support.mean_weight, support.largest_weight, support.missing);
  if (logged.low(kLevel))
    std::cout << fmt::format("Logged      {:.6g} [{:.6g}, {:.6g}]\n", logged.value, *logged.low(kLevel),
                             *logged.high(kLevel));
  else
    std::cout << fmt::format("Logged      {:.6g}\n", logged.value);
  std::cout << fmt::format("\nValue, 95 % by {}\n", o.ci);
  for (const PolicyValue& v : values) print_line(v);
  if (!gains.empty()) {
    std::cout << fmt::format("\nGain over {}, on the same decisions\n",
                             o.against.empty() ? "the logged policy" : printable(o.against));
    for (const PolicyValue& v : gains) print_line(v);
  }
  return status;
}

}  // namespace plumbline::cli
