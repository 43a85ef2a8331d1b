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
#include "plumbline/counterfactual/policy_source.hpp"
#include "plumbline/counterfactual/sequential.hpp"
#include "plumbline/counterfactual/streaming.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/data/log_stream.hpp"
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
    return std::vector{Sequential::kPerDecision, Sequential::kWeighted, Sequential::kDoublyRobust, Sequential::kFittedQ,
                       Sequential::kMarginal};
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
  ordered_json out = judged_json(counterfactual::sequential_name(v.estimator), v.outcome, v.reasons, v.estimate);
  out["effective_size"] = v.effective_size;
  return out;
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
  options.replicates = o.replicates;
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
                        {"logged", logged_json(logged)},
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

namespace {

/// What is printed, whichever way the log was read.
struct Shown {
  std::size_t logged_rows = 0;
  std::size_t used = 0;
  std::string excluded;
  counterfactual::Support support;
  stats::Estimate logged;
  std::vector<PolicyValue> values;
  std::vector<PolicyValue> gains;
  int passes = 0;  ///< over a log that was streamed; 0: it was held
};

/// From this many decisions a log in column form is streamed by itself.
constexpr std::size_t kStreamedFrom = 2'000'000;

/// Whether the log is read block by block. Errors kValue: --stream where something else asks for the whole log.
base::Result<bool> streamed(const EstimateOptions& o, const std::vector<Estimator>& estimators,
                            counterfactual::Interval interval) {
  std::string obstacle;
  if (!o.log.path.ends_with(".npz") || (!o.log.format.empty() && o.log.format != "npz"))
    obstacle = "the log is not in column form (.npz)";
  else if (!o.against.empty())
    obstacle = "--against compares two policies on rows that are held";
  else if (o.log.limit > 0)
    obstacle = "--limit cuts a log that is held";
  else if (!counterfactual::streams(interval))
    obstacle = fmt::format("{} bounds do not stream", counterfactual::interval_name(interval));
  for (const Estimator estimator : estimators) {
    if (obstacle.empty() && !o.estimators.empty() && !counterfactual::streams(estimator))
      obstacle = fmt::format("{} does not stream", counterfactual::estimator_name(estimator));
  }
  if (o.stream && !obstacle.empty())
    return base::make_error(base::Code::kValue, fmt::format("--stream: {}", obstacle), {},
                            "leave --stream out, or take ips, snips, clipped, shrunk with bootstrap or normal bounds");
  if (!obstacle.empty()) return false;
  if (o.stream) return true;
  const auto stream = data::LogStream::open(o.log.path);
  return stream.ok() && stream->rows() >= kStreamedFrom;
}

base::Result<Shown> shown_streamed(const Session& session, std::vector<Estimator> estimators,
                                   counterfactual::Interval interval, const counterfactual::PolicySpec& spec,
                                   const counterfactual::ValueOptions& options) {
  const EstimateOptions& o = session.options.estimate;
  std::erase_if(estimators, [](Estimator e) { return !counterfactual::streams(e); });
  PL_TRY(const counterfactual::PolicySource policy, counterfactual::PolicySource::load(spec));
  const base::Rng rng(session.options.seed, {"estimate"});
  PL_TRY(counterfactual::StreamedValues found,
         counterfactual::stream_values(o.log.path, policy, estimators, interval, options, rng));
  Shown out;
  out.logged_rows = found.logged_rows;
  out.used = found.used;
  out.excluded = found.excluded.words();
  out.support = found.support;
  out.logged = found.logged;
  out.values = std::move(found.values);
  out.gains = std::move(found.gains);
  out.passes = found.passes;
  return out;
}

base::Result<Shown> shown_held(const Session& session, const std::vector<Estimator>& estimators,
                               counterfactual::Interval interval, const counterfactual::PolicySpec& spec,
                               const counterfactual::ValueOptions& options) {
  const EstimateOptions& o = session.options.estimate;
  PL_TRY(const data::LogOptions reading, log_options(o.log));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.log.path, reading));
  PL_TRY(const counterfactual::TargetPtr target, counterfactual::make_policy(spec, log));
  const bool model = std::any_of(estimators.begin(), estimators.end(), counterfactual::needs_model);
  const base::Rng rng(session.options.seed, {"estimate"});
  PL_TRY(const Evaluation evaluation, Evaluation::make(log, *target, model, options, rng));
  std::optional<Evaluation> other;
  if (!o.against.empty()) {
    PL_TRY(const counterfactual::PolicySpec against, counterfactual::parse_policy(o.against));
    PL_TRY(const counterfactual::TargetPtr second, counterfactual::make_policy(against, log));
    PL_TRY(other, Evaluation::make(log, *second, model, options, rng));
  }
  Shown out;
  for (const Estimator estimator : estimators) {
    PL_TRY(PolicyValue value, evaluation.value(estimator, interval));
    out.values.push_back(std::move(value));
    // A gain has neither a choice among estimators nor a likelihood.
    if (estimator == Estimator::kAuto || interval == counterfactual::Interval::kLikelihood) continue;
    PL_TRY(PolicyValue gain, evaluation.gain(other ? &*other : nullptr, estimator, interval));
    out.gains.push_back(std::move(gain));
  }
  PL_TRY(out.logged, evaluation.logged_value());
  out.support = evaluation.support();
  out.logged_rows = evaluation.rows().logged;
  out.used = evaluation.rows().size();
  out.excluded = evaluation.rows().excluded.words();
  return out;
}

void print_shown(const Session& session, const Shown& shown) {
  const EstimateOptions& o = session.options.estimate;
  const counterfactual::Support& support = shown.support;
  const stats::Estimate& logged = shown.logged;
  if (session.options.json) {
    ordered_json out = {{"log", o.log.path},
                        {"policy", o.policy},
                        {"against", o.against.empty() ? ordered_json("logged") : ordered_json(o.against)},
                        {"seed", session.options.seed},
                        {"decisions", shown.logged_rows},
                        {"used", shown.used},
                        {"excluded", shown.excluded},
                        {"excluded_share", support.excluded_share},
                        {"streamed_passes", shown.passes},
                        {"support",
                         {{"units", support.units},
                          {"effective_size", support.effective_size},
                          {"largest_weight", support.largest_weight},
                          {"largest_share", support.largest_share},
                          {"mean_weight", support.mean_weight},
                          {"mean_weight_p", support.mean_weight_p},
                          {"unsupported", support.missing}}},
                        {"logged", logged_json(logged)},
                        {"values", ordered_json::array()},
                        {"gains", ordered_json::array()}};
    for (const PolicyValue& v : shown.values) out["values"].push_back(value_json(v));
    for (const PolicyValue& v : shown.gains) out["gains"].push_back(value_json(v));
    std::cout << out.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
    return;
  }
  std::cout << fmt::format("{} on {}\n\n", printable(o.policy), printable(o.log.path));
  std::cout << fmt::format("Decisions   {} of {} used{}{}\n", shown.used, shown.logged_rows,
                           shown.excluded.empty() ? "" : "; ", shown.excluded);
  if (shown.passes > 0)
    std::cout << fmt::format("Read        block by block, {}{}\n", shown.passes == 1 ? "in one pass" : "in two passes",
                             o.estimators.empty() ? "; dr and mrdr, which need all rows at once, were left out" : "");
  std::cout << fmt::format(
      "Support     effective size {:.1f} of {}, mean weight {:.4g} (1 expected), largest {:.4g}, unsupported {:.3g}\n",
      support.effective_size, support.units, support.mean_weight, support.largest_weight, support.missing);
  if (logged.low(kLevel))
    std::cout << fmt::format("Logged      {:.6g} [{:.6g}, {:.6g}]\n", logged.value, *logged.low(kLevel),
                             *logged.high(kLevel));
  else
    std::cout << fmt::format("Logged      {:.6g}\n", logged.value);
  std::cout << fmt::format("\nValue, 95 % by {}\n", o.ci);
  for (const PolicyValue& v : shown.values) print_value(v);
  if (!shown.gains.empty()) {
    std::cout << fmt::format("\nGain over {}, on the same decisions\n",
                             o.against.empty() ? "the logged policy" : printable(o.against));
    for (const PolicyValue& v : shown.gains) print_value(v);
  }
}

}  // namespace

base::Result<int> run_estimate(const Session& session) {
  const EstimateOptions& o = session.options.estimate;
  if (o.episodes) return estimate_episodes(session);
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
  counterfactual::ValueOptions options;
  options.cancel = session.cancel;
  options.replicates = o.replicates;
  if (o.reward_range.size() == 2) options.reward_range = std::pair(o.reward_range[0], o.reward_range[1]);
  if (o.max_weight > 0) options.max_weight = o.max_weight;
  PL_TRY(const bool stream, streamed(o, estimators, interval));
  PL_TRY(const Shown shown, stream ? shown_streamed(session, estimators, interval, spec, options)
                                   : shown_held(session, estimators, interval, spec, options));
  print_shown(session, shown);
  const bool says = std::any_of(shown.values.begin(), shown.values.end(),
                                [](const PolicyValue& v) { return v.outcome != Outcome::kCannotSay; });
  return says ? 0 : 3;
}

}  // namespace plumbline::cli
