#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/counterfactual/log_quality.hpp"

namespace plumbline::checks::counterfactual {
namespace {

namespace ope = plumbline::counterfactual;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "counterfactual.log_quality";
  facts.title = "Quality of a decision log";
  facts.question = "Can estimates be made from this log, and are its propensities those that were used?";
  facts.row = "K3";
  facts.needs = {"a log of decisions with propensities, [log.NAME]"};
  facts.yields = {
      {"impossible_share",
       "share",
       Direction::kLowerIsBetter,
       "decisions of the policy with a propensity that is absent or outside (0, 1], probabilities that do not sum to "
       "1, an "
       "action that was not available, or a reward that is not finite",
       {},
       {}},
      {"duplicate_share",
       "share",
       Direction::kLowerIsBetter,
       "rows that repeat an earlier id, or an earlier row",
       {},
       {}},
      {"out_of_order_share", "share", Direction::kLowerIsBetter, "rows that are earlier than the row before", {}, {}},
      {"missing_reward_share", "share", Direction::kLowerIsBetter, "decisions of the policy without reward", {}, {}},
      {"excluded_share", "share", Direction::kLowerIsBetter, "rows that no estimator may use", {}, {}},
      {"propensity_ratio",
       "1",
       Direction::kNone,
       "mean of 1 / (available actions x propensity): 1 where the propensities are those used and cover every action, "
       "whatever the policy; below 1 where less was explored than is claimed",
       {},
       {}},
      {"propensity_p",
       "share",
       Direction::kHigherIsBetter,
       "p-value of \"every action was taken as often as its propensities say\", least over the actions after "
       "Bonferroni",
       {},
       {}},
      {"propensity_drift",
       "1",
       Direction::kNone,
       "the same of the second half of the log minus that of the first: 0 where the policy kept to its claim",
       {},
       {}},
      {"recent_missing_gap",
       "share",
       Direction::kLowerIsBetter,
       "missing rewards in the last tenth of the log minus those before: rewards that are still on their way",
       {},
       {}},
      {"reward_delay",
       "s",
       Direction::kLowerIsBetter,
       "95 % quantile of the delays between decision and reward",
       {},
       {}}};
  facts.assumptions = {"units are independent", "rows are in the order of the decisions"};
  facts.sources = {
      "Agarwal et al., Making contextual decisions with low technical debt, 2016",
      "Horvitz, Thompson, A generalization of sampling without replacement from a finite universe, JASA 1952"};
  facts.cost = "O(decisions x actions)";
  facts.code = "1";
  return facts;
}

base::Result<check::Output> run(check::Context& context, const check::Params&) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("log", where));
  PL_TRY(const LogPart part, read_log_part(*section));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  PL_TRY(ope::LogQuality quality, ope::log_quality(log));

  check::Output output;
  output.rows = fmt::format("{} decisions, {} of them by the policy", quality.rows, quality.judged);
  output.notes = quality.notes;
  if (log.unlabelled > 0)
    output.notes.push_back(fmt::format("{} records without an action taken were passed over", log.unlabelled));
  const auto add = [&](const std::string& metric, stats::Estimate estimate) {
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", where}}, std::move(estimate)));
    output.evidence.back().artifacts = {"actions"};
  };
  add("impossible_share", std::move(quality.impossible_share));
  add("duplicate_share", std::move(quality.duplicate_share));
  add("out_of_order_share", std::move(quality.out_of_order_share));
  add("missing_reward_share", std::move(quality.missing_reward_share));
  add("excluded_share", std::move(quality.excluded_share));
  const double high = quality.propensity_ratio ? quality.propensity_ratio->bounds.upper[5].value_or(2) : 2;
  const double low = quality.propensity_ratio ? quality.propensity_ratio->bounds.lower[5].value_or(0) : 0;
  const double ratio = quality.propensity_ratio ? quality.propensity_ratio->value : 1;
  if (quality.propensity_ratio) add("propensity_ratio", std::move(*quality.propensity_ratio));
  if (quality.propensity_p) add("propensity_p", std::move(*quality.propensity_p));
  if (quality.propensity_drift) add("propensity_drift", std::move(*quality.propensity_drift));
  if (quality.recent_missing_gap) add("recent_missing_gap", std::move(*quality.recent_missing_gap));
  if (quality.delay) add("reward_delay", std::move(*quality.delay));

  check::Artifact table;
  table.id = "actions";
  table.kind = "table";
  table.title = fmt::format("Actions of {}", where);
  table.caption =
      "How often each action could be taken and was; the ratio is 1 where its propensities are right, with the p-value "
      "of that.";
  std::vector<std::string> names;
  std::vector<double> available, taken, ratios, p_values;
  for (const ope::ActionShare& a : quality.actions) {
    names.push_back(a.action);
    available.push_back(a.available);
    taken.push_back(a.taken);
    ratios.push_back(a.ratio);
    p_values.push_back(a.p_value);
  }
  table.columns = {{"action", "", names},
                   {"available", "decisions", available},
                   {"taken", "decisions", taken},
                   {"ratio", "1", ratios},
                   {"p", "1", p_values}};
  output.artifacts.push_back(std::move(table));

  for (const ope::Fault& fault : quality.faults) {
    check::Finding finding;
    finding.id = fmt::format("impossible-{}", output.findings.size() + 1);
    finding.severity = check::FindingSeverity::kMajor;
    finding.title = fmt::format("{} decisions of {}: {}", fault.count, where, fault.what);
    finding.detail = "Estimators refuse a log that holds such decisions: one of them can decide the figure.";
    finding.next_step =
        "Correct the program that writes the log; leave these decisions out only if they are wrong for a "
        "reason that has nothing to do with the reward.";
    finding.data = where;
    finding.rows = fault.rows;
    output.findings.push_back(std::move(finding));
  }
  if (low > 1 || high < 1) {
    check::Finding finding;
    finding.id = "propensities";
    finding.severity = check::FindingSeverity::kMajor;
    finding.title = fmt::format("The propensities of {} are not those that were used", where);
    finding.detail = fmt::format(
        "The mean of 1 / (available actions x propensity) is {}, where 1 is expected whatever the policy. {}",
        short_number(ratio),
        ratio < 1 ? "Less was explored than is claimed, or the policy never takes some action."
                  : "More was explored than is claimed.");
    finding.next_step =
        "Compare the table of actions. Usual reasons: logarithms instead of probabilities, the probability "
        "of another action, a policy that was updated between draw and log.";
    finding.data = where;
    output.findings.push_back(std::move(finding));
  }
  const double tests = std::max<double>(1, static_cast<double>(quality.actions.size()));
  for (const ope::ActionShare& a : quality.actions) {
    constexpr double kLevel = 0.001;
    constexpr std::size_t kMost = 10;
    if (a.p_value * tests > kLevel || output.findings.size() >= kMost) continue;
    check::Finding finding;
    finding.id = fmt::format("action-{}", output.findings.size() + 1);
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("Action {} of {}: taken {} times what its propensities say", a.action, where,
                                short_number(a.ratio));
    finding.detail =
        fmt::format("Available in {} decisions, taken in {}; p = {:.2g} before correction over {} actions.",
                    a.available, a.taken, a.p_value, quality.actions.size());
    finding.next_step = "Look for a rule behind the policy that promotes or suppresses this action.";
    finding.data = where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

/// The log claims 0.4 of exploration; the policy explores so, or with 0.2.
base::Status write(const std::string& folder, base::Rng& rng, double epsilon) {
  constexpr std::size_t kRows = 1500;
  constexpr double kClaimed = 0.4;
  const std::uint64_t seed = rng.bits() % 1000000000;
  PL_CHECK(write_fixture_log(folder + "/log.jsonl", kRows, epsilon, kClaimed, 0.5, rng));
  return write_fixture_manifest(folder, seed, "[log.clicks]\npath = \"log.jsonl\"\n",
                                "text = \"The propensities are those that were used.\"\ncheck = "
                                "\"counterfactual.log_quality\"\nmetric = \"propensity_ratio\"\nwithin = [0.8, 1.2]\n");
}

}  // namespace

check::Entry log_quality() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) { return plan_logs(blueprint); };
  entry.run = run;
  constexpr double kLazy = 0.2;
  constexpr double kHonest = 0.4;
  entry.fixtures = planted(write, kLazy, kHonest);
  entry.fixtures.defect_words =
      "a log that claims to explore in 0.4 of its 1,500 decisions and does so in 0.2 (ratio 0.68)";
  entry.fixtures.control_words = "a log that explores as it claims";
  entry.fixtures.cost_ms = 60;
  return entry;
}

}  // namespace plumbline::checks::counterfactual
