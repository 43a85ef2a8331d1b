#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/checks/system/systems.hpp"
#include "plumbline/system/cancelled.hpp"
#include "plumbline/system/simulated.hpp"

namespace plumbline::checks::system {
namespace {

namespace sys = plumbline::system;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "system.exploration_cancelled";
  facts.title = "Exploration that a later part cancels";
  facts.question = "Does what one part tries by lot reach the world as its other choices do?";
  facts.row = "S2";
  facts.needs = {"a part that draws by lot and records when, [component.NAME] with trace and explored",
                 "the traces of the parts behind it"};
  facts.params = {{"levels", std::int64_t{8}, 2, 50, {}, "to which outputs that are numbers are cut"}};
  facts.yields = {{"kept",
                   "share",
                   Direction::kHigherIsBetter,
                   "exploration that survives: 1 where the later part treats what was drawn by lot as the rest, 0 "
                   "where it tells all of "
                   "it apart; part: a later part, exposure, or all (the exposure where it is declared, else the least "
                   "of the parts)",
                   {"part"},
                   {{"part", "all"}}},
                  {"effective_rate",
                   "share",
                   Direction::kHigherIsBetter,
                   "share of decisions that explore times what is kept",
                   {"part"},
                   {{"part", "all"}}},
                  {"explored_share",
                   "share",
                   Direction::kNone,
                   "share of decisions that were drawn by lot, as logged",
                   {"part"},
                   {{"part", "all"}}},
                  {"claimed_gap",
                   "share",
                   Direction::kNone,
                   "that share minus the mean of the logged propensities",
                   {"part"},
                   {{"part", "all"}}},
                  {"dependence_p",
                   "share",
                   Direction::kHigherIsBetter,
                   "p-value of \"no later part's output depends on the flag, given context\": the least after Holm",
                   {"part"},
                   {{"part", "all"}}},
                  {"compared",
                   "share",
                   Direction::kHigherIsBetter,
                   "least share of exploring decisions with decisions alike to compare",
                   {"part"},
                   {{"part", "all"}}}};
  facts.assumptions = {"what the flag marks was drawn by lot, given what the part reads", "units are independent"};
  facts.sources = {"Steinhardt, AI Alignment Research Overview, 2019",
                   "Bottou et al., Counterfactual reasoning and learning systems, JMLR 2013",
                   "Sculley et al., Hidden technical debt in machine learning systems, NeurIPS 2015"};
  facts.cost = "O(later parts x rows)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  std::vector<std::string> explorers;
  check::Plan out = plan_system(blueprint, [&](const SystemPart& part) -> std::string {
    for (std::size_t i = 0; i < part.recorded.size(); ++i)
      if (!part.recorded[i].explored.empty()) explorers.push_back(part.graph.component(i).name);
    return explorers.empty() ? "no [component.NAME] records when it explores (explored)" : "";
  });
  if (explorers.empty()) return out;
  const check::Task task = out.tasks.front();
  out.tasks.clear();
  for (const std::string& name : explorers) {
    out.tasks.push_back(task);
    out.tasks.back().subject = name;
  }
  return out;
}

std::string crossing_name(const RecordedSystem& system, const sys::Crossing& c) {
  return c.passage == sys::Passage::kExposed ? "exposure" : system.part.graph.component(c.part).name;
}

check::Artifact bars(const RecordedSystem& system, const sys::ExplorationReport& report) {
  check::Artifact a;
  a.id = "kept";
  a.kind = "bars";
  a.title =
      fmt::format("What later parts leave of the exploration of {}", system.part.graph.component(report.explorer).name);
  a.caption = "1: treated as every other choice; 0: told apart, replaced or never seen.";
  std::vector<std::string> label;
  std::vector<double> value, low, high;
  for (const sys::Crossing& c : report.crossings) {
    label.push_back(fmt::format(
        "{} ({})", c.passage == sys::Passage::kExposed ? "exposure" : system.part.graph.component(c.part).name,
        c.signal));
    value.push_back(c.kept.value);
    low.push_back(c.kept.low(kSide).value_or(kNone));
    high.push_back(c.kept.high(kSide).value_or(kNone));
  }
  a.columns = {{"label", "", label}, {"value", "share", value}, {"low", "share", low}, {"high", "share", high}};
  a.facts = {{"value_label", "exploration kept"}, {"level", "0.95"}, {"reference", "1"}, {"reference_label", "all"}};
  return a;
}

void add_finding(const RecordedSystem& system, const sys::ExplorationReport& report, const sys::Crossing& c,
                 check::Output& output) {
  constexpr double kLost = 0.5;
  const auto high = c.kept.high(kSide);
  if (!high || *high >= 1 || c.dependence_p > 0.01) return;
  const std::string& explorer = system.part.graph.component(report.explorer).name;
  const std::string name = crossing_name(system, c);
  check::Finding finding;
  finding.id = fmt::format("cancelled-{}", output.findings.size() + 1);
  finding.severity = *high < kLost ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
  finding.title = c.passage == sys::Passage::kExposed
                      ? fmt::format("What {} tries by lot reaches hardly anybody", explorer)
                      : fmt::format("{} {} what {} tries by lot", name,
                                    c.passage == sys::Passage::kPassed ? "replaces" : "sets apart", explorer);
  finding.detail = fmt::format("{} Kept: {:.3g}, at most {:.3g} at 0.975.",
                               fmt::join(sys::explain(system.part.graph, report), " "), c.kept.value, *high);
  finding.next_step =
      c.passage == sys::Passage::kExposed
          ? "Look at the later parts: one of them acts on what tells these choices apart."
          : fmt::format(
                "{}Agree on a contract between the two: what was drawn by lot keeps the exposure of other choices. "
                "Until then count "
                "these rows as not explored: values of untried choices cannot be read from them.",
                c.told_by.empty() ? ""
                                  : fmt::format("Take from {} what gives the lot away ({}), or mix it. ", name,
                                                base::join_words(c.told_by)));
  finding.data = "traces";
  finding.where = {{"part", name}};
  output.findings.push_back(std::move(finding));
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  PL_TRY(const RecordedSystem system, read_recorded(context));
  PL_TRY(const std::size_t explorer, system.part.graph.index(context.task().subject));
  sys::ExplorationOptions options;
  options.exposure = system.part.recorded[explorer].exposure;
  options.levels = static_cast<int>(params.integer("levels"));
  PL_TRY(const sys::ExplorationReport report,
         sys::find_cancelled(system.part.graph, system.trace, explorer, options, context.rng("halves")));
  check::Output output;
  output.rows =
      fmt::format("{} rows, context: {}", system.trace.rows,
                  report.context.used.empty() ? "none" : fmt::format("{}", fmt::join(report.context.used, ", ")));
  output.notes = system.trace.notes;
  output.notes.insert(output.notes.end(), report.notes.begin(), report.notes.end());
  for (const std::string& name : report.context.left_out)
    output.notes.push_back(fmt::format("{} is not part of the context: not recorded, or too fine for the rows", name));
  const auto add = [&](const std::string& metric, const std::string& part, const sys::Bounded& figure) {
    output.evidence.push_back(bounded_evidence(facts, metric, part, figure, system));
    output.evidence.back().artifacts = {"parts", "kept"};
  };
  add("explored_share", "all", report.explored);
  if (report.claim_gap) add("claimed_gap", "all", *report.claim_gap);
  if (report.kept) {
    add("kept", "all", *report.kept);
    add("effective_rate", "all", *report.effective);
    double least = 1;
    for (const sys::Crossing& c : report.crossings) least = std::min(least, c.dependence_p);
    output.evidence.push_back(
        exact_evidence(facts, "dependence_p", "all", least, "contrast of halves, normal, Holm", system));
    output.evidence.push_back(exact_evidence(facts, "compared", "all", report.compared, "count", system));
  } else {
    output.notes.emplace_back("kept is withheld: no later part has a recorded output that can be compared");
  }
  std::map<std::string, std::vector<sys::Bounded>> by_part;
  EdgeWords marked;
  for (const sys::Crossing& c : report.crossings) {
    by_part[crossing_name(system, c)].push_back(c.kept);
    add_finding(system, report, c, output);
    if (c.passage == sys::Passage::kExposed || c.dependence_p > 0.01) continue;
    for (const sys::Edge& edge : system.part.graph.edges())
      if (edge.to == c.part && edge.kind == sys::EdgeKind::kFeeds)
        marked[{edge.from, edge.to}] = fmt::format("kept {:.2g}", c.kept.value);
  }
  for (auto& [name, figures] : by_part) add("kept", name, sys::least_of(std::move(figures)));
  if (!report.crossings.empty()) output.artifacts.push_back(bars(system, report));
  output.artifacts.push_back(draw_graph(
      system.part.graph,
      "Solid: read in the same round. Dashed: learned from later. Marked: where what was drawn by lot is told apart.",
      marked));
  if (report.crossings.empty())
    for (check::Evidence& e : output.evidence) e.artifacts = {"parts"};
  return output;
}

/// A chain of four parts of which one sets apart a share of what the first draws by lot.
base::Status write(const std::string& folder, base::Rng& rng, double leak) {
  constexpr std::size_t kRows = 1200;
  constexpr double kRate = 0.2;
  const std::uint64_t seed = rng.bits() % 1000000000;
  const sys::DiscreteSystem planted_system = sys::random_discrete(4, leak, kRate, rng);
  const data::Table trace = sys::simulate(planted_system, kRows, rng);
  return write_parts_system(
      folder, seed, planted_system.components, trace, "", {{"part0", "explored = \"lot\"\n"}},
      "text = \"What is tried by lot is treated as the rest.\"\ncheck = \"system.exploration_cancelled\"\nmetric = "
      "\"kept\"\nat_least = 0.6\n");
}

}  // namespace

check::Entry exploration_cancelled() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  constexpr double kLeak = 0.85;
  entry.fixtures = planted(write, kLeak, 0.0);
  entry.fixtures.defect_words =
      "1,200 decisions, a fifth by lot, through four parts of which one sets 0.85 of the lots apart (kept about 0.36)";
  entry.fixtures.control_words = "the same without";
  return entry;
}

}  // namespace plumbline::checks::system
