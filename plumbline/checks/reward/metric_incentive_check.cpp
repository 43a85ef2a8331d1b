#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/reward/reward_checks.hpp"
#include "plumbline/counterfactual/metric_incentive.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::checks::reward {
namespace {

namespace ope = plumbline::counterfactual;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "reward.metric_incentive";
  facts.title = "What a metric over those who stay pays for";
  facts.question = "Would maximising the mean over those who stay drive the others out?";
  facts.row = "K3";
  facts.needs = {"a log of decisions about people, with propensities, units and times, [log.NAME]"};
  facts.params = {
      {"by", std::string(), {}, {}, {}, "context column whose values an optimiser may tell apart; empty = none"},
      {"within", 1.0, 1e-9, 1e12, {}, "time after a decision in which a person who stays is met again"},
      {"left", 0.0, -1e12, 1e12, {}, "reward that counts for a person who left, in the mean over the initial pool"}};
  const std::vector<std::string> which = {"optimiser"};
  const std::map<std::string, std::string> by_metric = {{"optimiser", "stayers"}};
  facts.yields = {
      {"pool_gain", "reward", Direction::kHigherIsBetter,
       "mean over the initial pool, leavers counted as `left`, under the choice of the optimiser minus under "
       "the logging policy; optimiser: stayers (of the mean over those who stay) or pool",
       which, by_metric},
      {"metric_gain", "reward", Direction::kNone, "the same of the mean over those who stay", which, by_metric},
      {"stay_change", "share", Direction::kHigherIsBetter, "the same of the share of people who stay", which,
       by_metric}};
  facts.assumptions = {"people are independent", "the logged propensities are those that were used",
                       "a person who stays is met again within the stated time"};
  facts.sources = {"Bottou et al., Counterfactual reasoning and learning systems, JMLR 2013",
                   "Dinkelbach, On nonlinear fractional programming, Management Science 1967"};
  facts.cost = "O(decisions + cells x actions)";
  facts.code = "1";
  return facts;
}

/// A choice in words: "low: annoy, high: help".
std::string choice_words(const std::vector<std::string>& cells, const std::vector<std::string>& choice) {
  if (cells.size() == 1) return choice[0];
  std::string out;
  for (std::size_t c = 0; c < cells.size(); ++c) out += fmt::format("{}{}: {}", c > 0 ? ", " : "", cells[c], choice[c]);
  return out;
}

void add_finding(const std::string& where, const ope::StayRows& rows, const ope::MetricIncentive& found,
                 check::Output& output) {
  const auto below = [](const stats::Estimate& e) { return e.high() && *e.high() < 0; };
  const ope::StayEffects& m = found.metric;
  const bool pays = m.metric_gain.low() && *m.metric_gain.low() > 0;
  if (!pays || !below(m.stay_change)) return;
  check::Finding finding;
  finding.id = "drives-out";
  finding.severity = below(m.pool_gain) ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
  finding.title = fmt::format("The mean over those who stay rises by {:.3g} when {:.3g} more of the people leave",
                              m.metric_gain.value, -m.stay_change.value);
  finding.detail = fmt::format(
      "Its optimiser chooses {}. Over the initial pool the same choice changes the mean by {:.3g}; the optimiser of "
      "that "
      "mean chooses {}, which changes it by {:.3g} and the share that stays by {:.3g}.",
      choice_words(rows.cells, m.choice), m.pool_gain.value, choice_words(rows.cells, found.pool.choice),
      found.pool.pool_gain.value, found.pool.stay_change.value);
  finding.next_step =
      "Measure over everybody who was there at the start, whether or not they left, and never over those who remain.";
  finding.data = where;
  output.findings.push_back(std::move(finding));
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("log", where));
  PL_TRY(const LogPart part, read_log_part(*section));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  PL_TRY(const ope::StayRows rows, ope::stay_rows(log, params.text("by"), params.real("within")));
  ope::MetricIncentiveOptions options;
  options.left = params.real("left");
  options.cancel = context.cancel();
  PL_TRY(const ope::MetricIncentive found, ope::metric_incentive(rows, options, context.rng("incentive")));

  check::Output output;
  output.rows = fmt::format("{} decisions followed, {} of them judged; {} too late to be followed{}{}", rows.size(),
                            found.judged, rows.open, rows.excluded.total() > 0 ? "; " : "", rows.excluded.words());
  if (found.outcome == ope::Outcome::kCannotSay) {
    output.notes.push_back(fmt::format("withheld: cannot say: {}", fmt::join(found.reasons, "; ")));
    return output;
  }
  std::vector<std::string> label, series;
  std::vector<double> value, low, high;
  for (const bool pool : {false, true}) {
    const ope::StayEffects& effects = pool ? found.pool : found.metric;
    const std::string optimiser = pool ? "pool" : "stayers";
    for (const auto& [metric, estimate] :
         {std::pair("metric_gain", &effects.metric_gain), std::pair("stay_change", &effects.stay_change),
          std::pair("pool_gain", &effects.pool_gain)}) {
      label.emplace_back(metric);
      series.push_back(optimiser);
      value.push_back(estimate->value);
      low.push_back(estimate->low().value_or(std::nan("")));
      high.push_back(estimate->high().value_or(std::nan("")));
      output.evidence.push_back(
          check::make_evidence(facts, metric, {{"data", where}, {"optimiser", optimiser}}, *estimate));
      output.evidence.back().artifacts = {"effects", "choices"};
    }
  }
  check::Artifact bars;
  bars.id = "effects";
  bars.kind = "bars";
  bars.title = fmt::format("What two optimisers do on {}", where);
  bars.caption =
      "Against the logging policy, with 95 % intervals: the mean over those who stay, the share that stays, and the "
      "mean "
      "over everybody who was there before.";
  bars.columns = {{"label", "", label},
                  {"value", "reward or share", value},
                  {"low", "reward or share", low},
                  {"high", "reward or share", high},
                  {"series", "", series}};
  bars.facts = {{"value_label", "change"}, {"level", "0.95"}, {"reference", "0"}, {"reference_label", "as logged"}};
  output.artifacts.push_back(std::move(bars));
  check::Artifact table;
  table.id = "choices";
  table.kind = "table";
  table.title = fmt::format("What the optimisers choose on {}", where);
  table.caption = "The action of each cell that maximises the mean over those who stay, and over the initial pool.";
  table.columns = {{"cell", "", rows.cells}, {"stayers", "", found.metric.choice}, {"pool", "", found.pool.choice}};
  output.artifacts.push_back(std::move(table));
  add_finding(where, rows, found, output);
  return output;
}

/// Users who are happy or not, on three days, after Bottou's example: helping makes some of the unhappy happy
/// (`reach`), annoying makes some of them leave (`push`). The reward is what they say of the day. The action is drawn
/// by lot.
struct Users {
  double reach = 0;
  double push = 0;
};

base::Status write(const std::string& folder, base::Rng& rng, const Users& users) {
  constexpr int kUsers = 700;
  constexpr int kDays = 3;
  const std::vector<std::string> actions = {"help", "nothing", "annoy"};
  const std::uint64_t seed = rng.bits() % 1000000000;
  std::string text;
  std::vector<bool> here(kUsers, true), happy(kUsers);
  for (int u = 0; u < kUsers; ++u) happy[static_cast<std::size_t>(u)] = rng.bernoulli(0.4);
  for (int day = 0; day < kDays; ++day) {
    for (std::size_t u = 0; u < kUsers; ++u) {
      if (!here[u]) continue;
      const std::size_t a = rng.below(3);
      const double mean = happy[u] ? 0.9 : 0.4;
      text += fmt::format(
          "{{\"time\":{},\"unit\":\"u{}\",\"context\":{{\"mood\":\"{}\"}},\"actions\":[\"help\",\"nothing\",\"annoy\"],"
          "\"action\":\"{}\",\"propensity\":0.3333333333333333,\"reward\":{}}}\n",
          day, u, happy[u] ? "happy" : "unhappy", actions[a], rng.bernoulli(mean) ? 1 : 0);
      const double leaves = a == 2 && !happy[u] ? std::max(users.push, 0.03) : 0.03;
      here[u] = !rng.bernoulli(leaves);
      if (a == 0 && !happy[u]) happy[u] = rng.bernoulli(users.reach);
    }
  }
  PL_CHECK(data::write_bytes(folder + "/log.jsonl", text));
  return write_fixture_manifest(
      folder, seed, "[log.days]\npath = \"log.jsonl\"\n\n[check.\"reward.metric_incentive\"]\nby = \"mood\"\n",
      "text = \"Whoever maximises our metric does not lose over the initial pool.\"\ncheck = "
      "\"reward.metric_incentive\"\nmetric = \"pool_gain\"\nat_least = 0\n");
}

}  // namespace

check::Entry metric_incentive() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) { return plan_logs(blueprint); };
  entry.run = run;
  entry.fixtures = planted(write, Users{0.1, 0.8}, Users{0.8, 0.03});
  entry.fixtures.defect_words =
      "annoying makes 0.8 of the unhappy users leave and helping reaches 0.1 of them: 700 users, three days";
  entry.fixtures.control_words = "nobody leaves of annoyance, and helping reaches 0.8";
  entry.fixtures.cost_ms = 100;
  return entry;
}

}  // namespace plumbline::checks::reward
