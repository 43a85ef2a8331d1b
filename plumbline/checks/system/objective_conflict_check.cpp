#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/checks/system/systems.hpp"
#include "plumbline/system/conflict.hpp"
#include "plumbline/system/simulated.hpp"

namespace plumbline::checks::system {
namespace {

namespace sys = plumbline::system;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "system.objective_conflict";
  facts.title = "Objectives that pull against each other";
  facts.question = "What does a part that moves towards its own objective do to the objectives of the others?";
  facts.row = "S2";
  facts.needs = {"two parts or more with an objective that is recorded, [component.NAME] with trace and objective"};
  facts.params = {{"hidden",
                   0.0,
                   0,
                   0.99,
                   {},
                   "widen for a hidden cause that explains this share of output and objective; outputs that are "
                   "numbers, without lots"}};
  facts.yields = {{"pull",
                   "deviations",
                   Direction::kHigherIsBetter,
                   "effect on an objective of others, in its standard deviations, of one step of a part towards its "
                   "own; part: the part that moves, or "
                   "all; on: the objective, or all (the least)",
                   {"part", "on"},
                   {{"part", "all"}, {"on", "all"}}},
                  {"judged",
                   "parts",
                   Direction::kNone,
                   "outputs whose step could be judged",
                   {"part", "on"},
                   {{"part", "all"}, {"on", "all"}}},
                  {"robustness",
                   "share",
                   Direction::kHigherIsBetter,
                   "share that a hidden cause must explain of output and objective to take the effect to 0; where the "
                   "output was not drawn by lot",
                   {"part", "on"},
                   {{"part", "all"}, {"on", "all"}}}};
  facts.assumptions = {
      "outputs drawn by lot: none; else nothing hidden acts on output and objective beside what the part reads",
      "effects are linear (outputs that are numbers)", "clusters of rows are independent"};
  facts.sources = {"Yu et al., Gradient surgery for multi-task learning, NeurIPS 2020",
                   "Cinelli, Hazlett, Making sense of sensitivity, JRSS B 2020",
                   "Steinhardt, AI Alignment Research Overview, 2019"};
  facts.cost = "O(outputs x objectives x rows x regressors^2)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  return plan_system(blueprint, [](const SystemPart& part) -> std::string {
    std::vector<std::string> objectives;
    for (const sys::Component& c : part.graph.components())
      if (!c.objective.empty() && std::find(objectives.begin(), objectives.end(), c.objective) == objectives.end())
        objectives.push_back(c.objective);
    return objectives.size() >= 2 ? "" : "fewer than two different objectives are declared";
  });
}

check::Artifact effects(const RecordedSystem& system, const sys::ConflictReport& report) {
  check::Artifact a;
  a.id = "pulls";
  a.kind = "grid";
  a.title = "What a step of each part towards its own objective does to every objective";
  a.caption = "In standard deviations of the objective; below 0 the step harms it.";
  std::vector<std::string> row, column;
  std::vector<double> value, low, high;
  for (const sys::Lever& lever : report.levers) {
    for (const sys::Pull& pull : lever.pulls) {
      row.push_back(fmt::format("{} ({})", system.part.graph.component(lever.component).name, lever.signal));
      column.push_back(pull.objective);
      value.push_back(pull.effect ? pull.effect->value : kNone);
      low.push_back(pull.effect ? pull.effect->low(kSide).value_or(kNone) : kNone);
      high.push_back(pull.effect ? pull.effect->high(kSide).value_or(kNone) : kNone);
    }
  }
  a.columns = {{"row", "", row},
               {"column", "", column},
               {"value", "deviations", value},
               {"low", "deviations", low},
               {"high", "deviations", high}};
  a.facts = {{"row_label", "part that moves"},
             {"column_label", "objective"},
             {"value_label", "effect"},
             {"worse", "low"},
             {"midpoint", "0"}};
  return a;
}

check::Artifact pair_table(const sys::ConflictReport& report) {
  check::Artifact a;
  a.id = "pairs";
  a.kind = "table";
  a.title = "Objectives against each other";
  a.caption = "Cosine of what all judged steps do to both: -1 where every step that helps one harms the other as much.";
  std::vector<std::string> first, second;
  std::vector<double> cosine;
  for (const sys::ObjectivePair& pair : sys::objective_pairs(report)) {
    first.push_back(pair.first);
    second.push_back(pair.second);
    cosine.push_back(pair.cosine);
  }
  a.columns = {{"first", "", first}, {"second", "", second}, {"cosine", "1", cosine}};
  return a;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  PL_TRY(const RecordedSystem system, read_recorded(context));
  sys::ConflictOptions options;
  options.hidden = params.real("hidden");
  PL_TRY(const sys::ConflictReport report,
         sys::find_conflicts(system.part.graph, system.trace, options, context.rng("halves")));
  check::Output output;
  output.notes = system.trace.notes;
  output.notes.insert(output.notes.end(), report.notes.begin(), report.notes.end());
  const auto add = [&](const std::string& metric, const std::string& part, const std::string& on,
                       stats::Estimate estimate) {
    output.evidence.push_back(
        check::make_evidence(facts, metric, {{"data", "traces"}, {"part", part}, {"on", on}}, std::move(estimate)));
    output.evidence.back().artifacts = {"parts"};
    if (!report.levers.empty()) output.evidence.back().artifacts.emplace_back("pulls");
  };
  const std::string unit(sys::sampling_name(system.trace));
  std::vector<sys::Bounded> all;
  double judged = 0;
  double robust = kNone;
  EdgeWords marked;
  for (const sys::Lever& lever : report.levers) {
    const std::string& name = system.part.graph.component(lever.component).name;
    const std::string part =
        system.part.graph.component(lever.component).outputs.size() > 1 ? name + "." + lever.signal : name;
    if (!lever.pulls.empty()) judged += 1;
    if (!lever.worst) continue;
    all.push_back(*lever.worst);
    add("pull", part, "all", lever.worst->estimate(unit));
    for (const sys::Pull& pull : lever.pulls) {
      if (pull.own || !pull.effect) continue;
      add("pull", part, pull.objective, pull.effect->estimate(unit));
      if (pull.robustness) {
        add("robustness", part, pull.objective, stats::exact(*pull.robustness, pull.effect->n, "Cinelli and Hazlett"));
      }
      const auto high = pull.effect->high(kSide);
      if (!high || *high >= 0) continue;
      if (pull.robustness) robust = std::isnan(robust) ? *pull.robustness : std::min(robust, *pull.robustness);
      std::vector<std::string> bearers;
      for (const std::size_t b : pull.bearers) bearers.push_back(system.part.graph.component(b).name);
      for (const sys::Edge& edge : system.part.graph.edges())
        if (edge.from == lever.component && edge.kind == sys::EdgeKind::kFeeds)
          marked[{edge.from, edge.to}] = fmt::format("harms {}", pull.objective);
      if (output.findings.size() >= 10) continue;
      check::Finding finding;
      finding.id = fmt::format("conflict-{}", output.findings.size() + 1);
      finding.severity = check::FindingSeverity::kMedium;
      finding.title = fmt::format("{} harms {} when it does well", name, base::join_words(bearers));
      finding.detail = fmt::format(
          "A step of {} towards its own objective ({}: {}) changes {} by {:.3g} standard deviations, at most {:.3g} at "
          "0.975{}.",
          name, lever.signal, lever.step, pull.objective, pull.effect->value, *high,
          lever.by_lot
              ? ", from rows drawn by lot"
              : fmt::format("; a hidden cause would have to explain {:.2g} of both", pull.robustness.value_or(0)));
      finding.next_step = fmt::format(
          "Give {} a share of that objective, or bound its step by what {} loses; then measure both together.", name,
          base::join_words(bearers));
      finding.data = "traces";
      finding.where = {{"part", part}, {"on", pull.objective}};
      output.findings.push_back(std::move(finding));
    }
  }
  output.rows = fmt::format("{} rows, {} of {} outputs judged", system.trace.rows, judged, report.levers.size());
  add("judged", "all", "all", stats::exact(judged, static_cast<double>(system.trace.rows), "count"));
  if (!all.empty())
    add("pull", "all", "all", sys::least_of(std::move(all)).estimate(unit));
  else
    output.notes.emplace_back("pull is withheld: no step of any part could be judged on an objective of others");
  if (!std::isnan(robust))
    add("robustness", "all", "all",
        stats::exact(robust, static_cast<double>(system.trace.rows), "Cinelli and Hazlett"));
  output.artifacts.push_back(draw_graph(
      system.part.graph,
      "Solid: read in the same round. Dashed: learned from later. Marked: parts that harm another's objective.",
      marked));
  if (!report.levers.empty()) {
    output.artifacts.push_back(effects(system, report));
    output.artifacts.push_back(pair_table(report));
  }
  return output;
}

/// Five parts with results; the last harms the first one's, or no part harms any.
base::Status write(const std::string& folder, base::Rng& rng, bool conflict) {
  const std::uint64_t seed = rng.bits() % 1000000000;
  sys::LinearOptions options;
  options.parts = 5;
  options.conflict = conflict;
  const sys::LinearSystem planted_system = sys::random_linear(options, rng);
  const data::Table trace = sys::simulate(planted_system, 30, 20, rng);
  return write_parts_system(
      folder, seed, planted_system.components, trace, "unit", {},
      "text = \"No part gains by what it takes from others.\"\ncheck = \"system.objective_conflict\"\nmetric = "
      "\"pull\"\nat_least = -0.3\n");
}

}  // namespace

check::Entry objective_conflict() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, true, false);
  entry.fixtures.defect_words =
      "30 series of 20 rounds of five parts, of which one takes 1.2 from the objective of another for each unit of its "
      "output";
  entry.fixtures.control_words = "the same with effects of at least 0 alone";
  return entry;
}

}  // namespace plumbline::checks::system
