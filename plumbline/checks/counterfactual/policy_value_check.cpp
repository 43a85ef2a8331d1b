#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/planted.hpp"

namespace plumbline::checks::counterfactual {
namespace {

namespace ope = plumbline::counterfactual;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "counterfactual.policy_value";
  facts.title = "Value of a policy never run";
  facts.question = "What would the policy have earned, had it decided instead of the policy that wrote the log?";
  facts.row = "K3";
  facts.needs = {"a log of decisions with propensities and rewards, [log.NAME]", "a policy with a rule, [policy.NAME]"};
  facts.params = value_params({"snips", "dr", "mrdr"});
  facts.yields = {
      {"value",
       "reward",
       Direction::kHigherIsBetter,
       "mean reward of a decision under the policy, on the decisions that were left to the logging policy",
       {"estimator"},
       {{"estimator", "dr"}}},
      {"effective_size",
       "decisions",
       Direction::kHigherIsBetter,
       "(sum w)^2 / sum w^2: how many decisions of its own the log is worth to the policy; a fact about the "
       "log",
       {},
       {}},
      {"unsupported",
       "share",
       Direction::kLowerIsBetter,
       "mean probability that the policy puts on actions that the log cannot have taken; a fact about the log",
       {},
       {}},
      {"excluded_share",
       "share",
       Direction::kLowerIsBetter,
       "decisions that cannot be used: taken by others than the policy, changed, or without reward",
       {},
       {}}};
  facts.assumptions = {"the logged propensities are those that were used", "units are independent and drawn alike",
                       "rewards do not depend on earlier decisions"};
  facts.sources = {"Dudik, Langford, Li, Doubly robust policy evaluation and learning, ICML 2011",
                   "Swaminathan, Joachims, The self-normalized estimator for counterfactual learning, NeurIPS 2015",
                   "Farajtabar, Chow, Ghavamzadeh, More robust doubly robust off-policy evaluation, ICML 2018",
                   "Karampatziakis, Langford, Mineiro, Empirical likelihood for contextual bandits, NeurIPS 2020"};
  facts.cost = "O(decisions x (replicates + actions + context^2))";
  facts.code = "1";
  return facts;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  const std::string policy = context.task().subject.substr(0, context.task().subject.find('@'));
  PL_TRY(const data::OtherSection* log_section, context.section("log", where));
  PL_TRY(const data::OtherSection* policy_section, context.section("policy", policy));
  PL_TRY(const LogPart part, read_log_part(*log_section));
  PL_TRY(const ope::PolicySpec spec, read_rule(*policy_section));
  PL_TRY(const std::vector<ope::Estimator> estimators, chosen_estimators(params, false));
  PL_TRY(const ope::Interval interval, ope::parse_interval(params.text("ci")));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  PL_TRY(const ope::TargetPtr target, ope::make_policy(spec, log));
  PL_TRY(const ope::ValueOptions options, value_options(context, params, part));
  const bool model = std::any_of(estimators.begin(), estimators.end(), ope::needs_model);
  PL_TRY(const ope::Evaluation evaluation,
         ope::Evaluation::make(log, *target, model, options, context.rng("evaluation")));

  check::Output output;
  output.rows = rows_used(evaluation.rows());
  const auto add = [&](const std::string& metric, std::map<std::string, std::string> at, stats::Estimate estimate) {
    at["data"] = where;
    output.evidence.push_back(check::make_evidence(facts, metric, std::move(at), std::move(estimate)));
    output.evidence.back().artifacts = {"values"};
  };
  std::vector<std::string> label, outcome, words;
  std::vector<double> value, low, high;
  std::vector<std::string> reasons;
  for (const ope::Estimator estimator : estimators) {
    const std::string name(ope::estimator_name(estimator));
    PL_TRY(ope::PolicyValue v, evaluation.value(estimator, interval));
    label.push_back(name);
    value.push_back(v.estimate.value);
    low.push_back(v.estimate.low().value_or(std::nan("")));
    high.push_back(v.estimate.high().value_or(std::nan("")));
    outcome.emplace_back(ope::outcome_name(v.outcome));
    words.push_back(fmt::format("{}", fmt::join(v.reasons, "; ")));
    if (v.outcome == ope::Outcome::kCannotSay) {
      output.notes.push_back(fmt::format("value ({}) is withheld: cannot say: {}", name, fmt::join(v.reasons, "; ")));
      reasons = v.reasons;
      continue;
    }
    if (v.lambda)
      output.notes.push_back(
          fmt::format("auto chose lambda {}, {:+.4g} from the unbiased figure; root mean squared error {:.4g}",
                      short_number(*v.lambda), *v.bias_gap, *v.choice_error));
    add("value", {{"estimator", name}}, std::move(v.estimate));
  }
  PL_TRY(stats::Estimate logged, evaluation.logged_value());
  label.emplace_back("logged policy");
  value.push_back(logged.value);
  low.push_back(logged.low().value_or(std::nan("")));
  high.push_back(logged.high().value_or(std::nan("")));
  outcome.emplace_back("says");
  words.emplace_back("");
  const ope::Support& support = evaluation.support();
  add("effective_size", {}, stats::exact(support.effective_size, support.units, "sum of weights"));
  add("unsupported", {}, stats::exact(support.missing, support.rows, "mean probability", 1e-12));
  add("excluded_share", {},
      stats::exact(support.excluded_share, static_cast<double>(evaluation.rows().logged), "count"));
  if (evaluation.features_left_out() > 0)
    output.notes.push_back(fmt::format("the reward model reads 128 features of the context and leaves {} out",
                                       evaluation.features_left_out()));

  check::Artifact bars;
  bars.id = "values";
  bars.kind = "bars";
  bars.title = fmt::format("Value of {} on {}", policy, where);
  bars.caption =
      "Mean reward of a decision, by estimator, with 95 % intervals; the line is what the logging policy earned.";
  bars.columns = {{"label", "", label},     {"value", "reward", value}, {"low", "reward", low},
                  {"high", "reward", high}, {"outcome", "", outcome},   {"reasons", "", words}};
  bars.facts = {{"value_label", "reward"},
                {"level", "0.95"},
                {"reference", fmt::format("{}", logged.value)},
                {"reference_label", "logged"},
                {"effective size", short_number(support.effective_size)},
                {"largest weight", short_number(support.largest_weight)},
                {"mean weight", short_number(support.mean_weight)},
                {"excluded share", short_number(support.excluded_share)}};
  output.artifacts.push_back(std::move(bars));

  if (!reasons.empty()) {
    check::Finding finding;
    finding.id = "cannot-say";
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} cannot say what {} would earn", where, policy);
    finding.detail = fmt::format("{}. Effective size {} of {} units; mean weight {}, largest {}.",
                                 fmt::join(reasons, "; "), short_number(support.effective_size), support.units,
                                 short_number(support.mean_weight), short_number(support.largest_weight));
    finding.next_step =
        "Log with more exploration, mix the policy with the logged one (epsilon), or run it on a share of "
        "decisions. Where the mean weight is wrong, run counterfactual.log_quality first.";
    finding.data = where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

/// The policy takes c2, which earns 0.4 like the others or 0.75, with a tenth of chance.
base::Status write(const std::string& folder, base::Rng& rng, double good) {
  return write_rule_system(folder, rng, good, "counterfactual.policy_value", "The new policy earns more than 0.55.",
                           "metric = \"value\"\nat_least = 0.55\n");
}

}  // namespace

check::Entry policy_value() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) { return plan_rules(blueprint); };
  entry.run = run;
  constexpr double kBad = 0.4;
  constexpr double kGood = 0.75;
  entry.fixtures = planted(write, kBad, kGood);
  entry.fixtures.defect_words =
      "a policy worth 0.4 that is claimed to earn 0.55, from 2,000 decisions of a policy that seldom does the same";
  entry.fixtures.control_words = "a policy worth 0.72 under the same claim";
  entry.fixtures.cost_ms = 80;
  return entry;
}

}  // namespace plumbline::checks::counterfactual
