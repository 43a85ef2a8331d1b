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
#include "apps/cli/policy_values.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/counterfactual/sequential.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::cli {
namespace {

using counterfactual::Estimator;
using counterfactual::Evaluation;
using counterfactual::Outcome;
using counterfactual::PolicyValue;
using nlohmann::ordered_json;

using counterfactual::Sequential;
using counterfactual::SequentialValue;

base::Result<std::vector<Sequential>> asked_sequential(const EstimateOptions& o) {
  if (o.ci != "bootstrap" && !o.ci.empty())
    return base::make_error(base::Code::kValue, "bounds of episodes are by bootstrap alone", {}, "leave --ci out");
  if (!o.against.empty())
    return base::make_error(base::Code::kValue, "with --episodes the gain is over the logged policy alone", {},
                            "leave --against out");
  if (!o.reward_range.empty() || o.max_weight > 0)
    return base::make_error(base::Code::kValue, "--reward-range and --max-weight are for single decisions");
  if (o.estimators.empty()) {
    if (o.state.empty()) return std::vector{Sequential::kPerDecision, Sequential::kWeighted};
    return std::vector{Sequential::kPerDecision, Sequential::kWeighted, Sequential::kDoublyRobust,
                       Sequential::kFittedQ, Sequential::kMarginal};
  }
  std::vector<Sequential> out;
  for (const std::string& name : o.estimators) {
    PL_TRY(const Sequential estimator, counterfactual::parse_sequential(name));
    if (o.state.empty() && counterfactual::needs_states(estimator))
      return base::make_error(base::Code::kValue, fmt::format("{} reads the state of each decision", name), {},
                              "name its context column by --state, or take trajectory, per_decision, weighted");
    if (std::find(out.begin(), out.end(), estimator) == out.end()) out.push_back(estimator);
  }
  return out;
}

ordered_json sequential_json(const SequentialValue& v) {
  return {{"estimator", counterfactual::sequential_name(v.estimator)},
          {"outcome", counterfactual::outcome_name(v.outcome)},
          {"reasons", v.reasons},
          {"value", json_number(v.estimate.value)},
          {"low", json_number(v.estimate.low(kLevel))},
          {"high", json_number(v.estimate.high(kLevel))},
          {"level", kLevel},
          {"n", v.estimate.n},
          {"effective_size", v.effective_size},
          {"method", v.estimate.method},
          {"assumptions", v.estimate.assumptions},
          {"warnings", v.estimate.warnings}};
}

void print_sequential(const SequentialValue& v) {
  print_estimate(std::string(counterfactual::sequential_name(v.estimator)), v.outcome == Outcome::kCannotSay, v.reasons,
                 v.estimate);
}

base::Result<int> estimate_episodes(const Session& session) {
  const EstimateOptions& o = session.options.estimate;
  PL_TRY(const std::vector<Sequential> estimators, asked_sequential(o));
  PL_TRY(const data::LogOptions reading, log_options(o.log));
  PL_TRY(counterfactual::PolicySpec spec, counterfactual::parse_policy(o.policy));
  spec.epsilon = o.epsilon;
  spec.temperature = o.temperature;
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.log.path, reading));
  PL_TRY(const counterfactual::TargetPtr target, counterfactual::make_policy(spec, log));
  PL_TRY(const counterfactual::Episodes episodes, counterfactual::episodes_of(log, *target, o.state));
  counterfactual::SequentialOptions options;
  options.discount = o.discount;
  options.cancel = session.cancel;
  const base::Rng rng(session.options.seed, {"estimate"});
  std::vector<SequentialValue> values;
  std::vector<SequentialValue> gains;
  for (const Sequential estimator : estimators) {
    PL_TRY(SequentialValue value, counterfactual::sequential_value(episodes, estimator, options, rng));
    values.push_back(std::move(value));
    PL_TRY(SequentialValue gain, counterfactual::sequential_gain(episodes, estimator, options, rng));
    gains.push_back(std::move(gain));
  }
  PL_TRY(const stats::Estimate logged, stats::mean(counterfactual::episode_returns(episodes, o.discount)));
  const bool says = std::any_of(values.begin(), values.end(),
                                [](const SequentialValue& v) { return v.outcome != Outcome::kCannotSay; });
  const int status = says ? 0 : 3;
  if (session.options.json) {
    ordered_json out = {{"log", o.log.path},
                        {"policy", o.policy},
                        {"against", "logged"},
                        {"seed", session.options.seed},
                        {"discount", o.discount},
                        {"state", o.state.empty() ? ordered_json(nullptr) : ordered_json(o.state)},
                        {"episodes", episodes.size()},
                        {"episodes_dropped", episodes.dropped},
                        {"decisions", episodes.reward.size()},
                        {"longest", episodes.steps},
                        {"states", episodes.states},
                        {"unsupported", episodes.missing},
                        {"logged",
                         {{"value", logged.value},
                          {"low", json_number(logged.low(kLevel))},
                          {"high", json_number(logged.high(kLevel))},
                          {"method", logged.method}}},
                        {"values", ordered_json::array()},
                        {"gains", ordered_json::array()}};
    for (const SequentialValue& v : values) out["values"].push_back(sequential_json(v));
    for (const SequentialValue& v : gains) out["gains"].push_back(sequential_json(v));
    std::cout << out.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
    return status;
  }
  std::cout << fmt::format("{} on {}\n\n", printable(o.policy), printable(o.log.path));
  std::cout << fmt::format("Episodes    {} used of {}, {} decisions, longest {}{}\n", episodes.size(),
                           episodes.size() + episodes.dropped, episodes.reward.size(), episodes.steps,
                           o.state.empty() ? "" : fmt::format(", {} states", episodes.states));
  std::cout << fmt::format("Logged      {:.6g} an episode", logged.value);
  if (logged.low(kLevel)) std::cout << fmt::format(" [{:.6g}, {:.6g}]", *logged.low(kLevel), *logged.high(kLevel));
  std::cout << "\n\nValue of an episode, 95 % by bootstrap over episodes\n";
  for (const SequentialValue& v : values) print_sequential(v);
  std::cout << "\nGain over the logged policy, on the same episodes\n";
  for (const SequentialValue& v : gains) print_sequential(v);
  return status;
}

}  // namespace

base::Result<int> run_estimate(const Session& session) {
  const EstimateOptions& o = session.options.estimate;
  if (o.episodes) return estimate_episodes(session);
  PL_TRY(const data::LogOptions reading, log_options(o.log));
  std::vector<Estimator> estimators;
  std::vector<std::string> names = o.estimators;
  if (names.empty()) names = {"ips", "snips", "dr", "mrdr"};
  for (const std::string& name : names) {
    PL_TRY(const Estimator estimator, counterfactual::parse_estimator(name));
    if (std::find(estimators.begin(), estimators.end(), estimator) == estimators.end()) estimators.push_back(estimator);
  }
  PL_TRY(const counterfactual::Interval interval, counterfactual::parse_interval(o.ci));
  PL_TRY(counterfactual::PolicySpec spec, counterfactual::parse_policy(o.policy));
  spec.epsilon = o.epsilon;
  spec.temperature = o.temperature;
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.log.path, reading));
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
    ordered_json out = {{"log", o.log.path},
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
                          {"low", json_number(logged.low(kLevel))},
                          {"high", json_number(logged.high(kLevel))},
                          {"method", logged.method}}},
                        {"values", ordered_json::array()},
                        {"gains", ordered_json::array()}};
    for (const PolicyValue& v : values) out["values"].push_back(value_json(v));
    for (const PolicyValue& v : gains) out["gains"].push_back(value_json(v));
    std::cout << out.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
    return status;
  }
  const std::string left = rows.excluded.words();
  std::cout << fmt::format("{} on {}\n\n", printable(o.policy), printable(o.log.path));
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
  for (const PolicyValue& v : values) print_value(v);
  if (!gains.empty()) {
    std::cout << fmt::format("\nGain over {}, on the same decisions\n",
                             o.against.empty() ? "the logged policy" : printable(o.against));
    for (const PolicyValue& v : gains) print_value(v);
  }
  return status;
}

}  // namespace plumbline::cli
