#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/caution/cart_fixture.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/reach/picture.hpp"
#include "plumbline/reach/verify_loop.hpp"

namespace plumbline::checks::caution {
namespace {

namespace fs = std::filesystem;
using check::Direction;
using plumbline::reach::LoopVerdict;

constexpr std::size_t kDrawnVariables = 6;
constexpr std::size_t kDrawnTubes = 16;
constexpr std::size_t kDrawnPieces = 200;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.reach_safe";
  facts.title = "Reachable tube";
  facts.question = "Can the control loop reach a state that its file forbids, from any start of its box?";
  facts.row = "C6";
  facts.needs = {"a control loop, [loop.NAME], with at least one property"};
  facts.params = {{"boxes", std::int64_t{2000}, 1.0, 1e6, {}, "tubes at most: how often the initial box is halved"},
                  {"order", std::int64_t{5}, 1.0, 20.0, {}, "of the expansion in time"},
                  {"rollouts",
                   std::int64_t{200},
                   1.0,
                   1e6,
                   {},
                   "simulated before anything is proved; as many again around the worst"}};
  facts.yields = {{"broken",
                   "share",
                   Direction::kLowerIsBetter,
                   "0: proved that no trajectory breaks a property; 1: one does, proved from its start; between, with "
                   "bounds 0 and 1: not decided",
                   {},
                   {}},
                  {"proved_share",
                   "share",
                   Direction::kHigherIsBetter,
                   "share of the initial box from which all properties are proved: a lower bound of what is safe",
                   {},
                   {}}};
  facts.assumptions = {"the differential equation and the network are those of the files, over the real numbers",
                       "nothing disturbs the loop but its declared parameters"};
  facts.sources = {"Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM 2009, ch. 9",
                   "Girard, Reachability of Uncertain Linear Systems Using Zonotopes, HSCC 2005",
                   "Zhang et al., Efficient Neural Network Robustness Certification, NeurIPS 2018"};
  facts.cost = "O(boxes x periods x (bounds of the network + order^2 x terms of the dynamics))";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan out;
  for (const std::string& name : sections_of(*blueprint.manifest, "loop")) {
    check::Task task;
    task.subject = name;
    out.tasks.push_back(std::move(task));
  }
  if (out.tasks.empty()) out.not_applicable = "there is no control loop: name one with [loop.NAME]";
  return out;
}

/// Only what the section names is hashed: a network elsewhere could change unseen.
base::Status check_networks(const data::OtherSection& section, const plumbline::reach::Loop& loop) {
  const auto held = section.paths.find("networks");
  for (const std::string& file : loop.files) {
    std::error_code code;
    const std::string path = fs::weakly_canonical(file, code).string();
    const std::string place =
        held == section.paths.end() ? std::string() : fs::weakly_canonical(held->second.resolved, code).string();
    if (place.empty() || (path != place && path.rfind(place + "/", 0) != 0)) {
      return base::make_error(
          base::Code::kValue,
          fmt::format("the system file names the network '{}', and 'networks' does not hold it", file),
          fmt::format("[loop.{}]", section.name), "Name the network, or the folder of all of them, under networks");
    }
  }
  return base::ok();
}

/// The band of one variable over time, of the tubes of all proved boxes together.
check::Artifact band(const plumbline::reach::Loop& loop, std::size_t variable, const std::string& where,
                     const std::vector<plumbline::reach::Tube>& tubes, const plumbline::reach::Rollout& rollout) {
  const auto& v = loop.variables[variable];
  check::Artifact out;
  out.id = "tube-" + v.name;
  out.kind = "curve";
  out.title = fmt::format("{} of every trajectory, {}", v.name, where);
  out.caption =
      "The band holds all trajectories from the boxes drawn, at every time; the line is the simulated one that comes "
      "nearest to "
      "its limits.";
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  for (std::size_t t = 0; t < tubes.size(); ++t) {
    const std::string name = tubes.size() == 1 ? "tube" : fmt::format("tube {}", t + 1);
    for (const auto& piece : plumbline::reach::thinned(tubes[t].pieces, kDrawnPieces / tubes.size() + 20)) {
      if (!piece.box[variable].finite()) continue;
      // Both ends: the band is a staircase, and every trajectory lies inside as drawn.
      for (const double time : {piece.from, piece.to}) {
        x.push_back(time);
        y.push_back(piece.box[variable].mid());
        low.push_back(piece.box[variable].lo);
        high.push_back(piece.box[variable].hi);
        series.push_back(name);
      }
    }
  }
  const std::size_t stride = std::max<std::size_t>(rollout.points.size() / kDrawnPieces, 1);
  for (std::size_t i = 0; i < rollout.points.size(); i += stride) {
    x.push_back(rollout.times[i]);
    y.push_back(rollout.points[i][variable]);
    low.push_back(std::nan(""));
    high.push_back(std::nan(""));
    series.emplace_back("nearest rollout");
  }
  out.columns = {{"x", "", x}, {"y", "", y}, {"low", "", low}, {"high", "", high}, {"series", "", series}};
  out.facts = {{"play", "6"},
               {"x_label", "time"},
               {"y_label", v.unit.empty() ? v.name : fmt::format("{} ({})", v.name, v.unit)}};
  return out;
}

base::Status add_pictures(const plumbline::reach::Loop& loop, const plumbline::reach::Verification& v,
                          const check::Params& params, const std::string& where, check::Context& context,
                          check::Output& output) {
  namespace reach = plumbline::reach;
  std::vector<reach::Box> boxes = v.leaves;
  if (boxes.empty()) boxes = {reach::initial_box(loop)};
  reach::TubeOptions options;
  options.flow.order = static_cast<int>(params.integer("order"));
  options.whole = true;
  options.keep = true;
  options.branch = true;
  options.steps = 1000;
  std::vector<reach::Tube> tubes;
  // A curve holds eight series at most; one is the rollout.
  const std::size_t drawn = std::min<std::size_t>(std::min(boxes.size(), kDrawnTubes), 7);
  for (std::size_t i = 0; i < drawn; ++i) {
    PL_TRY(reach::Tube tube, reach::reach_tube(loop, boxes[i * boxes.size() / drawn], options, context.cancel()));
    tubes.push_back(std::move(tube));
  }
  std::size_t count = 0;
  for (std::size_t s = 0; s < loop.states && count < kDrawnVariables; ++s) {
    output.artifacts.push_back(band(loop, s, where, tubes, v.witness));
    ++count;
  }
  return base::ok();
}

check::Finding finding_of(const plumbline::reach::Loop& loop, const plumbline::reach::Verification& v,
                          const std::string& where) {
  check::Finding finding;
  finding.data = where;
  if (v.verdict == LoopVerdict::kViolated) {
    finding.id = "broken-property";
    finding.severity = check::FindingSeverity::kMajor;
    finding.title = fmt::format("{} breaks '{}'", where, loop.properties[v.broken.front()].text);
    std::string start;
    for (std::size_t i = 0; i < v.witness.start.size(); ++i)
      start += fmt::format("{}{} = {:.17g}", i > 0 ? ", " : "", loop.variables[i].name, v.witness.start[i]);
    finding.detail =
        fmt::format("From {} the property is missed by {}; the tube from that one point, rounded outward, proves it.",
                    start, short_number(-v.witness.margins[v.broken.front()]));
    finding.next_step =
        "Replay the start with `plumbline reach FILE --set NAME=VALUE`, then train the network there, narrow the box "
        "of "
        "starts, or put a safety filter behind it.";
  } else {
    finding.id = "not-decided";
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("whether {} keeps its properties is not decided", where);
    finding.detail = v.reason;
    finding.next_step = "Raise boxes, or narrow the box of starts; the reason says which property and time hold it up.";
  }
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  namespace reach = plumbline::reach;
  const check::CheckInfo facts = info();
  const std::string where = context.task().subject;
  PL_TRY(const data::OtherSection* section, context.section("loop", where));
  const auto path = section->paths.find("path");
  if (path == section->paths.end())
    return base::make_error(base::Code::kValue, "names no system file", fmt::format("[loop.{}]", where),
                            "Add path = \"loop.toml\"");
  PL_TRY(const reach::Loop loop, reach::read_loop(path->second.resolved));
  PL_CHECK(check_networks(*section, loop));
  reach::VerifyLoopOptions options;
  options.seconds = 1e8;  // work is counted, not timed: the same answer everywhere
  options.boxes = static_cast<std::size_t>(params.integer("boxes"));
  options.rollouts = static_cast<std::size_t>(params.integer("rollouts"));
  options.local = options.rollouts;
  options.tube.flow.order = static_cast<int>(params.integer("order"));
  options.seed = context.seed();
  PL_TRY(const reach::Verification v, reach::verify_loop(loop, options, context.progress(), context.cancel()));

  check::Output output;
  output.rows = fmt::format("{} tubes, {} rollouts", v.boxes, options.rollouts + options.local);
  stats::Estimate broken = stats::exact(v.verdict == LoopVerdict::kViolated ? 1 : 0, 1, "tubes with outward rounding");
  stats::Estimate proved =
      stats::exact(v.verdict == LoopVerdict::kHolds ? 1 : 1 - v.open_share, 1, "boxes proved by tubes");
  if (v.verdict != LoopVerdict::kHolds) {
    const double least = v.verdict == LoopVerdict::kViolated ? 0 : 1 - v.open_share;
    proved.value = least;
    proved.exactness = stats::Exactness::kBound;
    proved.bounds =
        stats::make_bounds([&](double) { return std::optional(least); }, [](double) { return std::optional(1.0); });
  }
  if (v.verdict == LoopVerdict::kUnknown) {
    broken.value = 0.5;
    broken.exactness = stats::Exactness::kBound;
    broken.method = "not decided";
    broken.bounds =
        stats::make_bounds([](double) { return std::optional(0.0); }, [](double) { return std::optional(1.0); });
    broken.warnings.push_back(v.reason);
  }
  output.evidence.push_back(check::make_evidence(facts, "broken", {{"data", where}}, std::move(broken)));
  output.evidence.push_back(check::make_evidence(facts, "proved_share", {{"data", where}}, std::move(proved)));
  PL_CHECK(add_pictures(loop, v, params, where, context, output));
  for (check::Evidence& evidence : output.evidence) evidence.artifacts = {output.artifacts.front().id};
  output.notes.push_back(fmt::format("{}: {}", where, v.reason));
  for (std::size_t p = 0; p < loop.properties.size() && p < v.margins.size(); ++p)
    output.notes.push_back(fmt::format("{}: '{}', least margin of the rollouts {}", where, loop.properties[p].text,
                                       short_number(v.margins[p])));
  if (v.verdict != LoopVerdict::kHolds) output.findings.push_back(finding_of(loop, v, where));
  return output;
}

constexpr std::string_view kClaim =
    "text = \"The cart never meets the wall.\"\ncheck = \"caution.reach_safe\"\nmetric = \"broken\"\nat_most = 0\n";

/// `beyond`: how far the wall stands from the place that the cart reaches, in metres.
base::Status write_fixture(const std::string& folder, base::Rng& rng, double beyond) {
  CartOptions cart;
  cart.drag = rng.uniform(0.02, 0.08);
  cart.start = rng.uniform(0.9, 1.1);
  cart.damping = rng.uniform(1.4, 1.7);
  cart.comes_to_rest = false;
  // It goes furthest at about -0.03 to -0.06 from these starts and dampings; the wall is what differs.
  cart.wall = beyond;
  PL_CHECK(write_cart(folder, cart));
  return write_fixture_manifest(folder, rng.bits() >> 12U,
                                "[loop.cart]\npath = \"loop.toml\"\nnetworks = "
                                "\"controller.onnx\"\n\n[check.\"caution.reach_safe\"]\nrollouts = 12\n",
                                kClaim);
}

}  // namespace

check::Entry reach_safe() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write_fixture, 0.15, -0.2);
  entry.fixtures.defect_words =
      "a wall 0.15 m before the place where the cart comes to rest: every trajectory meets it";
  entry.fixtures.control_words = "a wall 0.2 m behind that place: none does";
  return entry;
}

}  // namespace plumbline::checks::caution
