#include <algorithm>
#include <cmath>
#include <optional>
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
  facts.id = "counterfactual.policy_gain";
  facts.title = "Gain of a policy over another";
  facts.question = "How much more would the policy have earned than the one that wrote the log, or than another?";
  facts.row = "K3";
  facts.needs = {"a log of decisions with propensities and rewards, [log.NAME]", "a policy with a rule, [policy.NAME]"};
  facts.params = value_params({"snips", "dr", "mrdr"});
  facts.params.push_back(
      {"against", std::string(), {}, {}, {}, "policy section compared with; empty = the logging policy"});
  facts.yields = {{"gain",
                   "reward",
                   Direction::kHigherIsBetter,
                   "mean reward of a decision under the policy minus that under the other, on the same decisions",
                   {"estimator"},
                   {{"estimator", "dr"}}}};
  facts.assumptions = {"the logged propensities are those that were used", "units are independent and drawn alike",
                       "rewards do not depend on earlier decisions"};
  facts.sources = {"Dudik, Langford, Li, Doubly robust policy evaluation and learning, ICML 2011",
                   "Bottou et al., Counterfactual reasoning and learning systems, JMLR 2013"};
  facts.cost = "O(decisions x (replicates + actions + context^2))";
  facts.code = "1";
  return facts;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  const std::string policy = context.task().subject.substr(0, context.task().subject.find('@'));
  const std::string& against = params.text("against");
  PL_TRY(const data::OtherSection* log_section, context.section("log", where));
  PL_TRY(const data::OtherSection* policy_section, context.section("policy", policy));
  PL_TRY(const LogPart part, read_log_part(*log_section));
  PL_TRY(const ope::PolicySpec spec, read_rule(*policy_section));
  PL_TRY(const std::vector<ope::Estimator> estimators, chosen_estimators(params, true));
  PL_TRY(const ope::Interval interval, ope::parse_interval(params.text("ci")));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  PL_TRY(const ope::TargetPtr target, ope::make_policy(spec, log));
  PL_TRY(const ope::ValueOptions options, value_options(context, params, part));
  const bool model = std::any_of(estimators.begin(), estimators.end(), ope::needs_model);
  const base::Rng rng = context.rng("evaluation");
  PL_TRY(const ope::Evaluation first, ope::Evaluation::make(log, *target, model, options, rng));
  std::optional<ope::Evaluation> second;
  if (!against.empty()) {
    PL_TRY(const data::OtherSection* other_section, context.section("policy", against));
    PL_TRY(const ope::PolicySpec other_spec, read_rule(*other_section));
    PL_TRY(const ope::TargetPtr other, ope::make_policy(other_spec, log));
    PL_TRY(second, ope::Evaluation::make(log, *other, model, options, rng));
  }
  const std::string other_name = against.empty() ? "the logging policy" : against;

  check::Output output;
  output.rows = rows_used(first.rows());
  std::vector<std::string> label, outcome, words;
  std::vector<double> value, low, high;
  std::vector<std::string> reasons;
  for (const ope::Estimator estimator : estimators) {
    const std::string name(ope::estimator_name(estimator));
    PL_TRY(ope::PolicyValue v, first.gain(second ? &*second : nullptr, estimator, interval));
    label.push_back(name);
    value.push_back(v.estimate.value);
    low.push_back(v.estimate.low().value_or(std::nan("")));
    high.push_back(v.estimate.high().value_or(std::nan("")));
    outcome.emplace_back(ope::outcome_name(v.outcome));
    words.push_back(fmt::format("{}", fmt::join(v.reasons, "; ")));
    if (v.outcome == ope::Outcome::kCannotSay) {
      output.notes.push_back(fmt::format("gain ({}) is withheld: cannot say: {}", name, fmt::join(v.reasons, "; ")));
      reasons = v.reasons;
      continue;
    }
    output.evidence.push_back(
        check::make_evidence(facts, "gain", {{"data", where}, {"estimator", name}}, std::move(v.estimate)));
    output.evidence.back().artifacts = {"gains"};
  }
  check::Artifact bars;
  bars.id = "gains";
  bars.kind = "bars";
  bars.title = fmt::format("{} against {} on {}", policy, other_name, where);
  bars.caption =
      "Difference in mean reward, by estimator, with 95 % intervals; right of the line the policy earns more.";
  bars.columns = {{"label", "", label},     {"value", "reward", value}, {"low", "reward", low},
                  {"high", "reward", high}, {"outcome", "", outcome},   {"reasons", "", words}};
  bars.facts = {{"value_label", "gain"}, {"level", "0.95"}, {"reference", "0"}, {"reference_label", "no gain"}};
  output.artifacts.push_back(std::move(bars));
  if (!reasons.empty()) {
    check::Finding finding;
    finding.id = "cannot-say";
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} cannot compare {} with {}", where, policy, other_name);
    finding.detail = fmt::format("{}.", fmt::join(reasons, "; "));
    finding.next_step =
        "Log with more exploration, mix the policy with the logged one (epsilon), or run both on a share of "
        "decisions.";
    finding.data = where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

/// The logging policy earns about 0.4; the new one takes c2.
base::Status write(const std::string& folder, base::Rng& rng, double good) {
  return write_rule_system(folder, rng, good, "counterfactual.policy_gain", "The new policy does not lose.",
                           "metric = \"gain\"\nat_least = 0\n");
}

}  // namespace

check::Entry policy_gain() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params& params) {
    return plan_rules(blueprint, params.text("against"));
  };
  entry.run = run;
  constexpr double kBad = 0.2;
  constexpr double kGood = 0.6;
  entry.fixtures = planted(write, kBad, kGood);
  entry.fixtures.defect_words =
      "a policy that loses 0.16 a decision against the logging policy's 0.38, 2,000 decisions";
  entry.fixtures.control_words = "a policy that gains 0.16";
  entry.fixtures.cost_ms = 80;
  return entry;
}

}  // namespace plumbline::checks::counterfactual
