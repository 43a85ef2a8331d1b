#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/checks/system/systems.hpp"
#include "plumbline/system/feedback.hpp"
#include "plumbline/system/simulated.hpp"

namespace plumbline::checks::system {
namespace {

namespace sys = plumbline::system;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "system.feedback_loop";
  facts.title = "Feedback loops";
  facts.question = "How much of what a part puts out comes back in what it learns from, and does the system settle?";
  facts.row = "S5";
  facts.needs = {"parts that learn from signals, [component.NAME] with learns_from",
                 "their traces, with rounds in order"};
  facts.params = {
      {"memory", false, {}, {}, {}, "parts that learn also keep some of their former output"},
      {"hidden",
       0.0,
       0,
       0.99,
       {},
       "widen the bounds of gain and return_graph for a hidden cause that explains this share at both ends "
       "of each link"},
  };
  facts.yields = {{"gain",
                   "1",
                   Direction::kLowerIsBetter,
                   "how much higher a part wants its output after it was held one higher for good, by way of what it "
                   "and others learn; it runs "
                   "away at 1; part: a part, or all (the greatest)",
                   {"part"},
                   {{"part", "all"}}},
                  {"return_graph",
                   "1",
                   Direction::kLowerIsBetter,
                   "what of one unit more is in the output of the next round, by the graph",
                   {"part"},
                   {{"part", "all"}}},
                  {"return_lot",
                   "1",
                   Direction::kLowerIsBetter,
                   "the same from rounds whose output was drawn by lot: no hidden cause can feign it",
                   {"part"},
                   {{"part", "all"}}},
                  {"disagreement_p",
                   "share",
                   Direction::kHigherIsBetter,
                   "p-value of \"both returns agree\": the least after Holm; small where something hidden acts",
                   {"part"},
                   {{"part", "all"}}},
                  {"radius",
                   "1",
                   Direction::kLowerIsBetter,
                   "spectral radius from round to round: the system settles below 1",
                   {"part"},
                   {{"part", "all"}}},
                  {"loops", "loops", Direction::kNone, "loops in the graph", {"part"}, {{"part", "all"}}},
                  {"robustness",
                   "share",
                   Direction::kHigherIsBetter,
                   "share that a hidden cause must explain at both ends of each link to take the gain to 0; part: a "
                   "part, or all (the least)",
                   {"part"},
                   {{"part", "all"}}},
                  {"made_share",
                   "share",
                   Direction::kLowerIsBetter,
                   "share of the variance of what a part learns from that decisions explain, its own or others'; part: "
                   "the learner, or all (the greatest)",
                   {"part"},
                   {{"part", "all"}}}};
  facts.assumptions = {"rounds follow each other without gaps", "effects are nearly linear where the system runs",
                       "by the graph: nothing hidden acts on both a part's inputs and its output",
                       "clusters of rounds are independent"};
  facts.sources = {"Perdomo et al., Performative prediction, ICML 2020",
                   "Bode, Network analysis and feedback amplifier design, 1945",
                   "Cinelli, Hazlett, Making sense of sensitivity, JRSS B 2020",
                   "Sculley et al., Hidden technical debt in machine learning systems, NeurIPS 2015"};
  facts.cost = "O(parts x rows x regressors^2 + links x parts^3)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  return plan_system(blueprint, [](const SystemPart& part) -> std::string {
    const auto& parts = part.graph.components();
    const bool any =
        std::any_of(parts.begin(), parts.end(), [](const sys::Component& c) { return !c.learns_from.empty(); });
    return any ? "" : "no [component.NAME] learns from anything (learns_from)";
  });
}

check::Artifact table_of(const RecordedSystem& system, const sys::FeedbackReport& report) {
  check::Artifact a;
  a.id = "returns";
  a.kind = "table";
  a.title = "What comes back to each part on a loop";
  a.caption =
      "Gain: of an output held higher for good. Return: of one unit, in the next round; by lot where the part draws by "
      "lot.";
  std::vector<std::string> part, signal;
  std::vector<std::vector<double>> figures(11);
  for (const sys::Return& r : report.returns) {
    part.push_back(system.part.graph.component(r.component).name);
    signal.push_back(r.signal);
    std::size_t at = 0;
    for (const auto* b : {&r.gain, &r.next, &r.next_by_lot}) {
      figures[at++].push_back(*b ? (*b)->value : kNone);
      figures[at++].push_back(*b ? (*b)->low(kSide).value_or(kNone) : kNone);
      figures[at++].push_back(*b ? (*b)->high(kSide).value_or(kNone) : kNone);
    }
    figures[at].push_back(r.robustness.value_or(kNone));
  }
  a.columns = {{"part", "", part},
               {"signal", "", signal},
               {"gain", "1", figures[0]},
               {"gain_low", "1", figures[1]},
               {"gain_high", "1", figures[2]},
               {"return", "1", figures[3]},
               {"return_low", "1", figures[4]},
               {"return_high", "1", figures[5]},
               {"by_lot", "1", figures[6]},
               {"by_lot_low", "1", figures[7]},
               {"by_lot_high", "1", figures[8]},
               {"robustness", "share", figures[9]}};
  a.facts = {{"level", "0.95"}};
  return a;
}

check::Artifact teaching_table(const RecordedSystem& system, const sys::FeedbackReport& report) {
  check::Artifact a;
  a.id = "lessons";
  a.kind = "table";
  a.title = "Who makes what each part learns from";
  a.caption = "Share of the variance of the lesson that decisions explain beside what comes from outside.";
  std::vector<std::string> part, signal, makers;
  std::vector<double> value, low, high;
  for (const sys::Teaching& t : report.teaching) {
    std::vector<std::string> names;
    for (const std::size_t m : t.makers) names.push_back(system.part.graph.component(m).name);
    part.push_back(system.part.graph.component(t.component).name);
    signal.push_back(t.signal);
    makers.push_back(names.empty() ? "none" : base::join_words(names));
    const bool known = t.share.has_value();
    value.push_back(known ? t.share->value : kNone);
    low.push_back(known && t.share->low ? t.share->low(kSide).value_or(kNone) : kNone);
    high.push_back(known && t.share->high ? t.share->high(kSide).value_or(kNone) : kNone);
  }
  a.columns = {{"part", "", part},        {"learns_from", "", signal}, {"decided_by_others", "", makers},
               {"share", "share", value}, {"low", "share", low},       {"high", "share", high}};
  return a;
}

void add_findings(const RecordedSystem& system, const sys::FeedbackReport& report, check::Output& output) {
  constexpr double kStrong = 0.5;
  for (const sys::Return& r : report.returns) {
    if (!r.gain) continue;
    const auto low = r.gain->low(kSide);
    if (!low || *low < kStrong || output.findings.size() >= 10) continue;
    const std::string& name = system.part.graph.component(r.component).name;
    check::Finding finding;
    finding.id = fmt::format("loop-{}", output.findings.size() + 1);
    finding.severity = *low >= 1 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = *low >= 1
                        ? fmt::format("{} drives itself away", name)
                        : fmt::format("{} hears itself: {} comes back {:.2g}-fold", name, r.signal, r.gain->value);
    std::vector<std::string> loops;
    for (const sys::Loop& loop : report.loops.loops)
      if (std::find(loop.begin(), loop.end(), r.component) != loop.end() && loops.size() < 3)
        loops.push_back(system.part.graph.words(loop));
    finding.detail = fmt::format(
        "Held one higher for good, {} ends up wanting {:.3g} more of it (at least {:.3g} at 0.975), through {}. So a "
        "push from outside is "
        "worth {:.3g} in the end.",
        name, r.gain->value, *low, fmt::join(loops, "; "),
        r.gain->value < 1 ? 1 / (1 - r.gain->value) : std::numeric_limits<double>::infinity());
    finding.next_step =
        "Let the part learn from rows whose output was drawn by lot, or weigh rows by how likely its own choice made "
        "them; log the "
        "propensities for that.";
    finding.data = "traces";
    finding.where = {{"part", name}};
    output.findings.push_back(std::move(finding));
  }
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  PL_TRY(const RecordedSystem system, read_recorded(context));
  sys::FeedbackOptions options;
  options.memory = params.flag("memory");
  options.hidden = params.real("hidden");
  options.cancel = context.cancel();
  PL_TRY(const sys::FeedbackReport report, sys::find_feedback(system.part.graph, system.trace, options));
  const auto name = [&](std::size_t i) { return system.part.graph.component(i).name; };
  check::Output output;
  output.rows = fmt::format("{} rounds, {} loops", system.trace.rows, report.loops.loops.size());
  output.notes = system.trace.notes;
  output.notes.insert(output.notes.end(), report.notes.begin(), report.notes.end());
  const auto add = [&](check::Evidence evidence, std::vector<std::string> artifacts) {
    output.evidence.push_back(std::move(evidence));
    output.evidence.back().artifacts = std::move(artifacts);
  };
  /// One figure a part (the greatest of its outputs), and the greatest of all.
  const auto add_greatest = [&](const std::string& metric, std::map<std::string, std::vector<sys::Bounded>> figures,
                                const std::string& artifact) {
    std::vector<sys::Bounded> all;
    for (auto& [part, list] : figures) {
      all.insert(all.end(), list.begin(), list.end());
      add(bounded_evidence(facts, metric, part, sys::greatest_of(std::move(list)), system), {"parts", artifact});
    }
    if (!all.empty())
      add(bounded_evidence(facts, metric, "all", sys::greatest_of(std::move(all)), system), {"parts", artifact});
  };
  add(exact_evidence(facts, "loops", "all", static_cast<double>(report.loops.loops.size()), "enumeration", system),
      {"parts"});
  std::map<std::string, std::vector<sys::Bounded>> gain, by_graph, by_lot;
  std::vector<sys::Bounded> gaps;
  double robust = 1;
  for (const sys::Return& r : report.returns) {
    if (r.gain) gain[name(r.component)].push_back(*r.gain);
    if (r.next) by_graph[name(r.component)].push_back(*r.next);
    if (r.next_by_lot) by_lot[name(r.component)].push_back(*r.next_by_lot);
    if (r.disagreement) gaps.push_back(*r.disagreement);
    robust = std::min(robust, r.robustness.value_or(1));
  }
  if (report.loops.loops.empty()) {
    for (const char* metric : {"gain", "return_graph", "radius"})
      add(exact_evidence(facts, metric, "all", 0, "the graph has no loop", system), {"parts"});
  }
  add_greatest("gain", std::move(gain), "returns");
  add_greatest("return_graph", std::move(by_graph), "returns");
  add_greatest("return_lot", std::move(by_lot), "returns");
  if (!gaps.empty()) {
    // The p-value at which the interval of the largest gap just leaves 0, by bisection on its bounds.
    double least = 1;
    for (const sys::Bounded& gap : gaps)
      least = std::min(least, sys::two_sided_p(gap) * static_cast<double>(gaps.size()));
    add(exact_evidence(facts, "disagreement_p", "all", std::min(1.0, least), "Student's t, Bonferroni", system),
        {"returns"});
  }
  if (report.radius) add(bounded_evidence(facts, "radius", "all", *report.radius, system), {"parts"});
  if (!report.returns.empty()) {
    for (const sys::Return& r : report.returns)
      if (r.robustness)
        add(exact_evidence(
                facts, "robustness",
                name(r.component) + (system.part.graph.component(r.component).outputs.size() > 1 ? "." + r.signal : ""),
                *r.robustness, "Cinelli and Hazlett", system),
            {"returns"});
    add(exact_evidence(facts, "robustness", "all", robust, "Cinelli and Hazlett", system), {"returns"});
  }
  std::map<std::string, std::vector<sys::Bounded>> made;
  double surely = -1;
  for (const sys::Teaching& t : report.teaching) {
    if (!t.share) continue;
    if (t.share->low)
      made[name(t.component)].push_back(*t.share);
    else
      surely = std::max(surely, t.share->value);
  }
  if (surely >= 1 || (made.empty() && surely >= 0)) {
    add(exact_evidence(facts, "made_share", "all", surely, "by the graph", system), {"lessons"});
    made.clear();
  }
  add_greatest("made_share", std::move(made), "lessons");
  add_findings(system, report, output);
  EdgeWords marked;
  for (const sys::Loop& loop : report.loops.loops)
    for (std::size_t k = 0; k < loop.size(); ++k)
      marked.emplace(std::pair(loop[k], loop[(k + 1) % loop.size()]), "on a loop");
  output.artifacts.push_back(draw_graph(
      system.part.graph, "Solid: read in the same round. Dashed: learned from later. Marked: on a loop.", marked));
  if (!report.returns.empty()) output.artifacts.push_back(table_of(system, report));
  if (!report.teaching.empty()) output.artifacts.push_back(teaching_table(system, report));
  const auto has = [&](const std::string& id) {
    return std::any_of(output.artifacts.begin(), output.artifacts.end(),
                       [&](const check::Artifact& a) { return a.id == id; });
  };
  for (check::Evidence& e : output.evidence)
    std::erase_if(e.artifacts, [&](const std::string& id) { return !has(id); });
  return output;
}

/// Four parts with results; the first learns from its result, with a loop gain.
base::Status write(const std::string& folder, base::Rng& rng, double gain) {
  const std::uint64_t seed = rng.bits() % 1000000000;
  sys::LinearOptions options;
  options.parts = 4;
  options.gain = gain;
  options.rate = 0.1;
  const sys::LinearSystem planted_system = sys::random_linear(options, rng);
  const data::Table trace = sys::simulate(planted_system, 40, 22, rng);
  return write_parts_system(
      folder, seed, planted_system.components, trace, "unit", {{"part0", "explored = \"lot_part0\"\n"}},
      "text = \"No part hears mostly itself.\"\ncheck = \"system.feedback_loop\"\nmetric = \"gain\"\nat_most = 0.5\n");
}

}  // namespace

check::Entry feedback_loop() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  constexpr double kStrong = 0.8;
  constexpr double kWeak = 0.2;
  entry.fixtures = planted(write, kStrong, kWeak);
  entry.fixtures.defect_words =
      "40 series of 22 rounds of four parts, of which one learns from what it made with a loop gain of 0.8";
  entry.fixtures.control_words = "the same with 0.2";
  return entry;
}

}  // namespace plumbline::checks::system
