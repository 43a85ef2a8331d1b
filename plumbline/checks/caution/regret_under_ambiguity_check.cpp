#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/caution/rule_planning.hpp"
#include "plumbline/caution/specification_radius.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/checks/caution/ambiguity_fixture.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/reward/rewards.hpp"
#include "plumbline/checks/reward/tables.hpp"
#include "plumbline/stats/special.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::checks::caution {
namespace {

using check::Direction;
using world::TabularPolicy;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.regret_under_ambiguity";
  facts.title = "Regret under ambiguity";
  facts.question = "How much does the policy lose if another plausible reward was meant?";
  facts.row = "W6";
  facts.needs = {"a policy, [policy.NAME]", "a world that can be enumerated, [world.NAME]",
                 "plausible rewards, [reward.NAME] of kind linear, table or observed; or one with designed_in"};
  facts.params = {{"program_limit",
                   std::int64_t{40000},
                   0,
                   2e6,
                   {},
                   "horizon x states x actions at most for least_regret, which is a linear program"},
                  {"partings",
                   std::int64_t{20},
                   0,
                   1000,
                   {},
                   "steps from the start on that are searched for states where rewards part"}};
  facts.yields = {{"regret",
                   "reward",
                   Direction::kLowerIsBetter,
                   "the most that the policy earns less than the best policy, over the plausible rewards",
                   {},
                   {}},
                  {"regret_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "the same with each reward measured in its range over all policies",
                   {},
                   {}},
                  {"expected_regret",
                   "reward",
                   Direction::kLowerIsBetter,
                   "mean over the plausible rewards by their priors",
                   {},
                   {}},
                  {"least_regret", "reward", Direction::kNone, "regret of the policy that minimises it", {}, {}},
                  {"avoidable", "reward", Direction::kLowerIsBetter, "regret less least_regret", {}, {}},
                  {"slip",
                   "1",
                   Direction::kHigherIsBetter,
                   "the smallest change of one weight of the observed reward, in its largest weight, that makes "
                   "another policy best; only in "
                   "worlds with features",
                   {},
                   {}}};
  facts.assumptions = {
      "the rewards given hold what may have been meant",
      "designed_in: the author would rather have written a reward whose best policy does well by what they mean"};
  facts.sources = {"Regan, Boutilier, Regret-based Reward Elicitation for Markov Decision Processes, UAI 2009",
                   "Hadfield-Menell et al., Inverse Reward Design, NeurIPS 2017"};
  facts.cost = "a dynamic program a reward and run; a linear program for least_regret";
  facts.code = "1";
  return facts;
}

/// Regrets of one policy by each reward.
struct Regrets {
  std::vector<double> each;
  double most = 0;
  double share = 0;
  double mean = 0;
  std::size_t worst = 0;
};

/// Mean over candidates that were drawn: each entered with its posterior weight.
stats::Estimate over_candidates(const std::vector<double>& values, const std::vector<double>& probability) {
  double mean = 0, square = 0, effective = 0;
  for (std::size_t k = 0; k < values.size(); ++k) mean += probability[k] * values[k];
  for (std::size_t k = 0; k < values.size(); ++k) {
    square += probability[k] * probability[k] * (values[k] - mean) * (values[k] - mean);
    effective += probability[k] * probability[k];
  }
  stats::Estimate estimate;
  estimate.value = mean;
  estimate.n = static_cast<double>(values.size());
  estimate.n_effective = 1 / effective;
  estimate.unit_of_sampling = "candidate";
  estimate.method = "weighted mean over drawn candidates, normal";
  estimate.assumptions = {"effective candidates are many enough for a normal mean"};
  const double error = std::sqrt(square);
  constexpr double kFew = 30;
  if (estimate.n_effective < kFew) {
    estimate.warnings = {
        fmt::format("no bounds: only {} candidates carry the weight", short_number(estimate.n_effective))};
    return estimate;
  }
  estimate.bounds =
      stats::make_bounds([&](double c) { return std::optional(mean - stats::normal_quantile(c) * error); },
                         [&](double c) { return std::optional(mean + stats::normal_quantile(c) * error); });
  return estimate;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  PL_TRY(const Pair pair, read_pair(context));
  if (!pair.model) return nothing_to_count(pair, pair.why_not);
  const auto made = policy_tables(context, pair);
  if (!made.ok()) {
    if (made.error().code == base::Code::kUnsupported) return nothing_to_count(pair, made.error().message);
    return made.error();
  }
  const PolicyTables& tables = *made;
  const world::Process& process = *pair.model->process;
  PL_TRY(const Plausible plausible, plausible_rewards(context, pair.where, pair.world->facts(), *pair.model));
  const decision::RewardPosterior& values = plausible.posterior;
  const auto count = static_cast<std::size_t>(values.size());

  check::Output output;
  output.rows = fmt::format("{}; {} plausible {}", rows_of(pair, tables), count, count == 1 ? "reward" : "rewards");
  if (plausible.literal)
    output.notes.push_back(fmt::format("{}: no [reward.NAME] is about {}: regret is by the observed reward alone",
                                       context.task().subject, pair.where));
  std::vector<std::vector<double>> rewards(count);
  std::vector<double> best(count), range(count);
  for (std::size_t k = 0; k < count; ++k) {
    PL_CHECK(context.cancel().status());
    rewards[k].resize(process.pairs());
    std::vector<double> negative(process.pairs());
    for (std::size_t i = 0; i < process.pairs(); ++i) {
      rewards[k][i] = values.rewards(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(i));
      negative[i] = -rewards[k][i];
    }
    PL_TRY(const world::Plan most, world::finite_horizon(process, rewards[k]));
    PL_TRY(const world::Plan least, world::finite_horizon(process, negative));
    best[k] = most.start;
    range[k] = most.start + least.start;
  }
  std::vector<Regrets> runs;
  std::vector<double> most, share, mean;
  for (const TabularPolicy& policy : tables.runs) {
    Regrets own;
    PL_TRY(const std::vector<double> visits, world::occupancy(process, policy));
    for (std::size_t k = 0; k < count; ++k) {
      double earned = 0;
      for (std::size_t i = 0; i < visits.size(); ++i) earned += visits[i] * rewards[k][i];
      const double loss = std::max(0.0, best[k] - earned);
      own.each.push_back(loss);
      own.mean += values.probability[k] * loss;
      if (values.probability[k] == 0) continue;
      if (loss > own.most) {
        own.most = loss;
        own.worst = k;
      }
      if (range[k] > 1e-12) own.share = std::max(own.share, loss / range[k]);
    }
    most.push_back(own.most);
    share.push_back(own.share);
    mean.push_back(own.mean);
    runs.push_back(std::move(own));
  }
  const auto add = [&](const std::string& metric, stats::Estimate estimate) {
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", pair.where}}, std::move(estimate)));
    output.evidence.back().artifacts = {"regrets"};
  };
  double size = 1;
  for (const double b : best) size = std::max(size, std::abs(b));
  const double rounding = 1e-9 * size;
  // The worst of drawn candidates bounds the worst of all from below.
  const auto worst_case = [&](const std::vector<double>& of_runs) {
    stats::Estimate estimate = over_tables(tables, of_runs, rounding);
    if (!plausible.drawn) return estimate;
    if (tables.alone) {
      const double value = estimate.value;
      estimate.exactness = stats::Exactness::kBound;
      estimate.method = "largest over drawn candidates";
      estimate.bounds = stats::make_bounds([&](double) { return std::optional(value); },
                                           [](double) { return std::optional<double>(); });
    }
    estimate.warnings.emplace_back("candidates were drawn: other plausible rewards may lose more");
    return estimate;
  };
  add("regret", worst_case(most));
  add("regret_share", worst_case(share));
  if (plausible.drawn && tables.alone)
    add("expected_regret", over_candidates(runs.front().each, values.probability));
  else
    add("expected_regret", over_tables(tables, mean, rounding));

  const auto worst_run = static_cast<std::size_t>(std::max_element(most.begin(), most.end()) - most.begin());
  std::optional<plumbline::caution::RulePlan> careful;
  double least = 0;
  const double variables = static_cast<double>(process.horizon) * static_cast<double>(process.pairs());
  if (variables <= static_cast<double>(params.integer("program_limit"))) {
    PL_TRY(careful, plumbline::caution::plan_by_rule(process, values, {plumbline::caution::Rule::kRegret, {}}));
    for (std::size_t k = 0; k < count; ++k) {
      if (values.probability[k] > 0) least = std::max(least, best[k] - careful->returns[k]);
    }
    const double error = std::max(careful->gap, rounding);
    std::vector<double> avoidable;
    for (const double m : most) avoidable.push_back(std::max(0.0, m - least));
    stats::Estimate bound = stats::exact(least, 1, "linear program over occupancy measures", error);
    if (plausible.drawn) bound.warnings = {"of the candidates that were drawn"};
    add("least_regret", std::move(bound));
    stats::Estimate rest = over_tables(tables, avoidable, error + rounding);
    if (plausible.drawn) rest.warnings.emplace_back("of the candidates that were drawn");
    add("avoidable", std::move(rest));
  } else {
    output.notes.push_back(
        fmt::format("{}: least_regret and avoidable are withheld: the program has {:.0f} variables, more than "
                    "program_limit",
                    context.task().subject, variables));
  }

  std::string slip_words;
  double largest = 0;
  for (const double w : pair.model->weights) largest = std::max(largest, std::abs(w));
  if (largest > 0) {
    PL_TRY(const auto slips, plumbline::caution::weight_slips(process, *pair.model->features, pair.model->weights));
    if (!slips.empty()) {
      const auto& first = slips.front();
      add("slip", stats::exact(std::abs(first.change) / largest, 1, "dynamic programming", 1e-9));
      slip_words = fmt::format(" The smallest slip that changes what is best: the weight of '{}' by {}.",
                               pair.model->feature_names[first.feature], short_number(first.change));
    } else {
      output.notes.push_back(
          fmt::format("{}: slip is withheld: no change of a single weight makes another policy best", pair.where));
    }
  }

  const Regrets& worst = runs[worst_run];
  std::vector<std::size_t> order(count);
  for (std::size_t k = 0; k < count; ++k) order[k] = k;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return worst.each[a] > worst.each[b]; });
  check::Artifact bars;
  bars.id = "regrets";
  bars.kind = "bars";
  bars.title = fmt::format("What {} loses in {} by each plausible reward", pair.policy.name, pair.where);
  bars.caption = "Return of the best policy by that reward less that of this one; the largest first.";
  std::vector<std::string> label, series;
  std::vector<double> value, prior;
  constexpr std::size_t kBars = 30;
  for (std::size_t i = 0; i < std::min(count, kBars); ++i) {
    label.push_back(values.names[order[i]]);
    value.push_back(worst.each[order[i]]);
    prior.push_back(values.probability[order[i]]);
    series.push_back(pair.policy.name);
  }
  for (std::size_t i = 0; careful && i < std::min(count, kBars); ++i) {
    label.push_back(values.names[order[i]]);
    value.push_back(std::max(0.0, best[order[i]] - careful->returns[order[i]]));
    prior.push_back(values.probability[order[i]]);
    series.emplace_back("least regret");
  }
  bars.columns = {{"label", "", label}, {"value", "", value}, {"series", "", series}, {"prior", "share", prior}};
  bars.facts = {{"value_label", "regret"}};
  output.artifacts.push_back(std::move(bars));

  constexpr double kWorthAFinding = 0.05;
  if (worst.share > kWorthAFinding) {
    const TabularPolicy& policy = tables.runs[worst_run];
    PL_TRY(check::Artifact episode, table_episode(pair, policy, context.seed(), "policy",
                                                  fmt::format("{} in {}", pair.policy.name, pair.where)));
    output.artifacts.push_back(std::move(episode));
    if (careful) {
      PL_TRY(check::Artifact other,
             table_episode(pair, careful->policy, context.seed(), "least-regret", "The policy of least regret"));
      output.artifacts.push_back(std::move(other));
    }
    // The first state on its way where the rewards part.
    std::string parting_words;
    PL_TRY(const std::vector<double> visits, world::occupancy(process, policy));
    const auto last = static_cast<int>(std::min<std::int64_t>(process.horizon, params.integer("partings")));
    for (int t = 0; t < last && parting_words.empty(); ++t) {
      PL_CHECK(context.cancel().status());
      PL_TRY(const auto partings, plumbline::caution::partings(process, values, t));
      double top = 0;
      const plumbline::caution::Parting* first = nullptr;
      for (const auto& p : partings) {
        double here = 0;
        for (std::uint32_t a = 0; a < process.actions; ++a) here += visits[process.pair(p.state, a)];
        if (here * p.loss > top) {
          top = here * p.loss;
          first = &p;
        }
      }
      if (first == nullptr) continue;
      PL_TRY(const std::string picture, picture_of_state(pair, policy, first->state, context.seed()));
      parting_words = fmt::format(
          " Rewards part {} in {}: no action is right by all of them, the best compromise is '{}' and loses up to {}.",
          t == 0 ? "at once" : fmt::format("with {} steps gone", t), state_words(pair, first->state, picture),
          pair.world->facts().actions[first->action], short_number(first->loss));
    }
    check::Finding finding;
    finding.id = "regret";
    finding.severity = worst.share >= 0.25 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title =
        fmt::format("If '{}' was meant, {} loses {} of {} in {}", values.names[worst.worst], pair.policy.name,
                    short_number(worst.most), short_number(range[worst.worst]), pair.where);
    finding.detail = fmt::format("The best policy by it earns {}; this one {}.{}{}", short_number(best[worst.worst]),
                                 short_number(best[worst.worst] - worst.most), parting_words, slip_words);
    finding.next_step = careful ? fmt::format(
                                      "Ask which reward is meant before that step; without an answer, the policy of "
                                      "least regret loses at most {}.",
                                      short_number(least))
                                : "Ask which reward is meant before that step.";
    finding.data = pair.where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

constexpr std::string_view kClaim =
    "text = \"Whichever reward was meant, little is lost.\"\ncheck = \"caution.regret_under_ambiguity\"\nmetric = "
    "\"regret\"\nat_most = 0.5\n";

}  // namespace

check::Entry regret_under_ambiguity() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) { return plan_enumerated(blueprint); };
  entry.run = run;
  entry.fixtures = vase_fixtures(kClaim);
  entry.fixtures.defect_words =
      "the way straight through a vase, where breaking it may have been meant to cost 1.5 to 3 (regret 1.5 to 3)";
  entry.fixtures.control_words = "the way round it, as good by either reward";
  return entry;
}

}  // namespace plumbline::checks::caution
