// reach: where a control loop can go, and whether what its file claims holds.
#include <algorithm>
#include <cmath>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/reach/picture.hpp"
#include "plumbline/reach/safety_filter.hpp"
#include "plumbline/reach/verify_loop.hpp"

namespace plumbline::cli {
namespace {

using reach::LoopVerdict;

constexpr std::size_t kDrawnTubes = 64;
constexpr std::size_t kDrawnRollouts = 16;

nlohmann::json number(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

nlohmann::json ranges_json(const reach::Loop& loop, const reach::Box& box) {
  nlohmann::json out = nlohmann::json::object();
  for (std::size_t v = 0; v < box.size(); ++v) out[loop.variables[v].name] = {number(box[v].lo), number(box[v].hi)};
  return out;
}

nlohmann::json point_json(const reach::Loop& loop, const std::vector<double>& point) {
  nlohmann::json out = nlohmann::json::object();
  for (std::size_t v = 0; v < point.size(); ++v) out[loop.variables[v].name] = number(point[v]);
  return out;
}

/// NAME=VALUE or NAME=LOW:HIGH.
base::Result<std::map<std::string, reach::Interval>> initial_of(const std::vector<std::string>& words,
                                                                const std::string& option = "--set") {
  std::map<std::string, reach::Interval> out;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::size_t colon = word.find(':', equals == std::string::npos ? 0 : equals);
    double low = 0;
    double high = 0;
    bool fine = equals != std::string::npos && equals > 0;
    if (fine) {
      const std::string_view values = std::string_view(word).substr(equals + 1);
      const std::size_t cut = colon == std::string::npos ? std::string_view::npos : colon - equals - 1;
      fine = data::parse_number(values.substr(0, cut), &low) &&
             (cut == std::string_view::npos || data::parse_number(values.substr(cut + 1), &high));
      if (cut == std::string_view::npos) high = low;
    }
    if (!fine || !std::isfinite(low) || !std::isfinite(high) || low > high)
      return base::make_error(
          base::Code::kValue,
          fmt::format("{} takes NAME=VALUE{}, not '{}'", option, option == "--set" ? " or NAME=LOW:HIGH" : "", word),
          "reach", "For example --set theta=1:1.175");
    out[word.substr(0, equals)] = reach::Interval(low, high);
  }
  return out;
}

/// The whole tubes of the boxes that were proved, or of the initial box where none was.
base::Result<std::vector<reach::Tube>> drawn_tubes(const reach::Loop& loop, const reach::Verification& v,
                                                   const reach::VerifyLoopOptions& options, const Session& session) {
  std::vector<reach::Box> boxes = v.leaves;
  if (boxes.empty()) boxes = {reach::initial_box(loop)};
  reach::TubeOptions whole = options.tube;
  whole.whole = true;
  whole.keep = true;
  whole.branch = true;
  whole.steps = 2000;
  std::vector<reach::Tube> out;
  for (std::size_t i = 0; i < std::min(boxes.size(), kDrawnTubes); ++i) {
    PL_TRY(reach::Tube tube, reach::reach_tube(loop, boxes[i * boxes.size() / std::min(boxes.size(), kDrawnTubes)],
                                               whole, session.cancel));
    out.push_back(std::move(tube));
  }
  return out;
}

base::Status draw(const reach::Loop& loop, const reach::Verification& v, const reach::VerifyLoopOptions& options,
                  const Session& session) {
  PL_TRY(const std::vector<reach::Tube> tubes, drawn_tubes(loop, v, options, session));
  std::vector<reach::Rollout> rollouts = {v.witness};
  base::Rng rng(options.seed, {"reach", "picture"});
  for (std::size_t i = 0; v.verdict != LoopVerdict::kViolated && i < kDrawnRollouts; ++i) {
    PL_TRY(reach::Rollout rollout, reach::simulate(loop, reach::draw_start(reach::initial_box(loop), i, rng)));
    rollouts.push_back(std::move(rollout));
  }
  const std::string words = fmt::format("{}, {}", reach::loop_verdict_name(v.verdict), v.reason);
  return write_file(session.options.plot, reach::tube_picture(loop, tubes, rollouts, words));
}

nlohmann::json as_json(const reach::Loop& loop, const reach::Verification& v, const std::string& file) {
  nlohmann::json properties = nlohmann::json::array();
  for (std::size_t p = 0; p < loop.properties.size(); ++p) {
    properties.push_back({{"text", loop.properties[p].text},
                          {"least_margin_of_rollouts", p < v.margins.size() ? number(v.margins[p]) : nullptr},
                          {"broken", std::find(v.broken.begin(), v.broken.end(), p) != v.broken.end()}});
  }
  nlohmann::json out = {
      {"system", file},
      {"name", loop.name},
      {"verdict", reach::loop_verdict_name(v.verdict)},
      {"reason", v.reason},
      {"seconds", v.seconds},
      {"reproducible", !v.timed_out},
      {"boxes", v.boxes},
      {"proved_boxes", v.proved},
      {"open_share", v.verdict == LoopVerdict::kViolated ? nlohmann::json(nullptr) : number(v.open_share)},
      {"initial", ranges_json(loop, reach::initial_box(loop))},
      {"properties", properties}};
  if (v.verdict == LoopVerdict::kViolated) {
    nlohmann::json points = nlohmann::json::array();
    for (std::size_t i = 0; i < v.witness.points.size(); ++i)
      points.push_back({{"time", v.witness.times[i]}, {"state", point_json(loop, v.witness.points[i])}});
    out["witness"] = {{"start", point_json(loop, v.witness.start)}, {"rollout", points}};
  }
  return out;
}

void print(const reach::Loop& loop, const reach::Verification& v) {
  std::cout << fmt::format("{}  ({:.2f} s)\n{}\n", reach::loop_verdict_name(v.verdict), v.seconds, printable(v.reason));
  for (std::size_t p = 0; p < loop.properties.size() && p < v.margins.size(); ++p)
    std::cout << fmt::format("{}  least margin of the rollouts {:.6g}\n", printable(loop.properties[p].text),
                             v.margins[p]);
  if (v.verdict != LoopVerdict::kViolated) return;
  std::string words;
  for (std::size_t i = 0; i < v.witness.start.size(); ++i)
    words += fmt::format("{}{} = {:.17g}", i > 0 ? ", " : "", loop.variables[i].name, v.witness.start[i]);
  std::cout << fmt::format("from  {}\n", words);
}

/// The state that --at names, in the order of the axes.
base::Result<std::vector<double>> state_of(const reach::AvoidGame& game, const std::vector<std::string>& words) {
  PL_TRY(const auto given, initial_of(words, "--at"));
  std::vector<double> out;
  for (const reach::GridAxis& axis : game.axes) {
    const auto found = given.find(axis.name);
    if (found == given.end() || given.size() != game.axes.size()) {
      std::vector<std::string> names;
      for (const reach::GridAxis& a : game.axes) names.push_back(a.name);
      return base::make_error(base::Code::kValue, fmt::format("--at wants each of {} once", base::join_words(names)),
                              "reach");
    }
    out.push_back(found->second.lo);
  }
  return out;
}

/// What the table says as a whole and, with --at, of one state.
base::Result<int> report_table(const Session& session, reach::ValueTable table) {
  const Options& o = session.options;
  std::size_t unsafe = 0;
  for (const double v : table.value) unsafe += v <= o.margin ? 1 : 0;
  const double share = static_cast<double>(unsafe) / static_cast<double>(table.value.size());
  nlohmann::json json = {{"system", o.manifest}, {"name", table.game.name},          {"nodes", table.value.size()},
                         {"steps", table.steps}, {"looked_back", table.looked_back}, {"margin", o.margin},
                         {"unsafe_share", share}};
  std::string text = fmt::format("{} nodes, {} steps, {:g} back in time\n{:.4g} of the grid is at or below {:g}\n",
                                 table.value.size(), table.steps, table.looked_back, share, o.margin);
  int status = 0;
  if (!o.at.empty()) {
    PL_TRY(const std::vector<double> state, state_of(table.game, o.at));
    PL_TRY(const reach::SafetyFilter filter, reach::SafetyFilter::make(std::move(table), o.margin));
    const bool safe = filter.safe(state);
    const std::vector<double> action = filter.action(state);
    status = safe ? 0 : 1;
    nlohmann::json controls = nlohmann::json::object();
    std::string words;
    for (std::size_t k = 0; k < action.size(); ++k) {
      controls[filter.game().controls[k].name] = action[k];
      words += fmt::format("{}{} = {:g}", k > 0 ? ", " : "", filter.game().controls[k].name, action[k]);
    }
    json["at"] = {{"value", number(filter.value(state))}, {"safe", safe}, {"best_control", controls}};
    text += fmt::format("{}  value {:.6g}, best control {}\n", safe ? "safe" : "unsafe", filter.value(state), words);
  }
  std::cout << (o.json ? json.dump(2) + "\n" : text);
  return status;
}

base::Result<int> solve_game(const Session& session) {
  const Options& o = session.options;
  if (!o.plot.empty() || !o.initial.empty())
    return base::make_error(base::Code::kValue, "--plot and --set belong to control loops, and this is a game",
                            o.manifest);
  PL_TRY(const reach::AvoidGame game, reach::read_game(o.manifest));
  PL_TRY(reach::ValueTable table, reach::solve(game, {}, session.progress, session.cancel));
  if (!o.table.empty()) PL_CHECK(reach::write_table(table, o.table));
  return report_table(session, std::move(table));
}

base::Result<int> ask_table(const Session& session) {
  PL_TRY(reach::ValueTable table, reach::read_table(session.options.manifest));
  return report_table(session, std::move(table));
}

}  // namespace

base::Result<int> run_reach(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const bool table, reach::is_table(o.manifest));
  if (table) return ask_table(session);
  PL_TRY(const bool game, reach::is_game(o.manifest));
  if (game) return solve_game(session);
  if (!o.table.empty() || !o.at.empty() || o.margin > 0)
    return base::make_error(base::Code::kValue, "--table, --at and --margin belong to games, which have a [grid]",
                            o.manifest);
  reach::LoopOptions reading;
  PL_TRY(reading.initial, initial_of(o.initial));
  reading.roots = o.roots;
  PL_TRY(const reach::Loop loop, reach::read_loop(o.manifest, reading));
  reach::VerifyLoopOptions options;
  options.seconds = o.seconds < 0 ? 60 : o.seconds;
  options.seed = o.seed;
  options.boxes = o.boxes;
  options.tube.flow.order = o.order;
  PL_TRY(const reach::Verification v, reach::verify_loop(loop, options, session.progress, session.cancel));
  if (!o.plot.empty()) PL_CHECK(draw(loop, v, options, session));
  if (o.json) {
    std::cout << as_json(loop, v, o.manifest).dump(2) << "\n";
  } else {
    print(loop, v);
    if (!o.plot.empty()) std::cout << fmt::format("picture  {}\n", printable(o.plot));
  }
  return v.verdict == LoopVerdict::kHolds ? 0 : v.verdict == LoopVerdict::kViolated ? 1 : 3;
}

}  // namespace plumbline::cli
