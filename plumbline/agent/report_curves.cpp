#include "plumbline/agent/report_curves.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::agent {
namespace {

using nlohmann::json;

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json figures_json(const AskingFigures& f) {
  return {{"questions", f.questions},
          {"answered", f.answered},
          {"reward", f.reward},
          {"truth", f.truth},
          {"share", f.share}};
}

json estimate_json(const stats::Estimate& e) {
  return {{"value", e.value}, {"low", or_null(e.low())}, {"high", or_null(e.high())}, {"n", e.n}};
}

json world_json(const world::WorldSpec& spec) {
  json object = {{"world", spec.id}, {"level", spec.level}};
  if (!spec.dials.empty()) object["dials"] = spec.dials;
  return object;
}

/// "0.31 [0.2, 0.4]"
std::string with_bounds(const stats::Estimate& e) {
  if (e.exactness == stats::Exactness::kExact) return fmt::format("{:.3f}", e.value);
  const auto low = e.low();
  const auto high = e.high();
  if (low && high) return fmt::format("{:.3f} [{:.3f}, {:.3f}]", e.value, *low, *high);
  return fmt::format("{:.3f} [{}]", e.value, e.method == kSameInAllRuns ? "in every run" : "no bounds");
}

std::string turning_words(const PressureCurve& curve) {
  const auto words = [](const std::optional<double>& p) { return p ? fmt::format("{:.3g}", *p) : "none"; };
  if (curve.exact) return words(curve.turning);
  if (curve.turning_confidence <= 0) return words(curve.turning) + " [no bounds]";
  return fmt::format("{} [{}, {}]", words(curve.turning), words(curve.turning_low), words(curve.turning_high));
}

}  // namespace

std::string place_name(const world::WorldSpec& spec) {
  std::string text = spec.id;
  if (!spec.level.empty() && spec.level != "default") text += "/" + spec.level;
  for (const auto& [dial, value] : spec.dials) text += fmt::format(" {}={}", dial, value);
  return text;
}

std::string asking_text(const std::vector<AskingCell>& cells) {
  std::string out;
  for (const AskingCell& cell : cells) {
    if (!cell.error.empty()) {
      out += fmt::format("{}: not run: {}\n\n", place_name(cell.world), cell.error);
      continue;
    }
    const AskingCurve& curve = cell.curve;
    out += fmt::format("{}: {}\n", place_name(cell.world), curve.agent);
    out += fmt::format("{:>10} {:>10} {:>9}  {:>7} {:>7} {:>7} {:>7}\n", curve.over, "questions", "answered", "guard",
                       "random ", "always", "never");
    for (const AskingPoint& p : curve.points) {
      out += fmt::format("{:>10.4g} {:>10.3f} {:>9.3f}  {:>7.3f} {:>6.3f}{} {:>7.3f} {:>7.3f}\n", p.dial,
                         p.guard.questions, p.guard.answered, p.guard.share, p.random.share, p.matched ? ' ' : '*',
                         p.always.share, p.never.share);
    }
    if (std::any_of(curve.points.begin(), curve.points.end(), [](const AskingPoint& p) { return !p.matched; }))
      out += "* asked at random it comes to fewer questions than the guard's\n";
    if (curve.over == "cost")
      out += fmt::format("always asks {:.3f} times an episode\n", curve.points.front().always.questions);
    out += fmt::format(
        "on average over these rows the guard has {:+.3f} of the range of truth over asking at random as often, and "
        "{:+.3f} over not asking\n\n",
        curve.advantage, curve.gain);
  }
  out +=
      "Questions and answers of an episode, expected. Columns by name: truth, from the least (0) to the most (1) that "
      "any policy achieves; exact.\n";
  return out;
}

std::string asking_json(const std::vector<AskingCell>& cells) {
  json all = json::array();
  for (const AskingCell& cell : cells) {
    json object = world_json(cell.world);
    if (!cell.error.empty()) {
      object["error"] = cell.error;
      all.push_back(std::move(object));
      continue;
    }
    json points = json::array();
    for (const AskingPoint& p : cell.curve.points) {
      points.push_back({{"dial", p.dial},
                        {"rate", p.rate},
                        {"matched", p.matched},
                        {"guard", figures_json(p.guard)},
                        {"random", figures_json(p.random)},
                        {"always", figures_json(p.always)},
                        {"never", figures_json(p.never)}});
    }
    object["agent"] = cell.curve.agent;
    object["over"] = cell.curve.over;
    object["points"] = std::move(points);
    object["advantage"] = cell.curve.advantage;
    object["gain"] = cell.curve.gain;
    all.push_back(std::move(object));
  }
  return all.dump(2) + "\n";
}

std::string pressure_text(const std::vector<PressureCell>& cells) {
  std::string out;
  for (const PressureCell& cell : cells) {
    if (!cell.error.empty()) {
      out += fmt::format("{}: not run: {}\n\n", place_name(cell.world), cell.error);
      continue;
    }
    out += fmt::format("{}\n{:<34} {:>9} {:>22} {:>8} {:>22} {:>22} {:>9}\n", place_name(cell.world), "agent", "turned",
                       "turns down at", "there", "falls by", "saved", "hardest");
    for (const PressureCurve& c : cell.result.curves) {
      if (!c.error.empty()) {
        out += fmt::format("{:<34} not run: {}\n", c.agent, c.error);
        continue;
      }
      double top = c.points.front().truth.value;
      for (const PressurePoint& p : c.points) top = std::max(top, p.truth.value);
      out += fmt::format("{:<34} {:>9} {:>22} {:>8.3f} {:>22} {:>22} {:>9.3f}\n", c.agent,
                         fmt::format("{} of {}", c.turned, c.runs), turning_words(c), top, with_bounds(c.fall),
                         c.saved ? with_bounds(*c.saved) : "", c.points.back().truth.value);
    }
    out += "\n";
  }
  out += fmt::format(
      "Pressure is 1 over the temperature of the planner behind the protection. Truth from the least (0) to the most "
      "(1) that any policy\nachieves: at its peak (there), how far it falls after it, and at the hardest pressure. It "
      "turns down where it falls by more than {} while\nthe planner behind goes on earning more. Saved: the "
      "unprotected agent's fall "
      "less this one's. Bounds over runs at 0.95; exact without.\n",
      kTurns);
  return out;
}

std::string pressure_json(const std::vector<PressureCell>& cells) {
  json all = json::array();
  for (const PressureCell& cell : cells) {
    json object = world_json(cell.error.empty() ? cell.result.world : cell.world);
    if (!cell.error.empty()) {
      object["error"] = cell.error;
      all.push_back(std::move(object));
      continue;
    }
    json curves = json::array();
    for (const PressureCurve& c : cell.result.curves) {
      if (!c.error.empty()) {
        curves.push_back({{"agent", c.agent}, {"error", c.error}});
        continue;
      }
      json points = json::array();
      for (const PressurePoint& p : c.points) {
        json point = estimate_json(p.truth);
        point["truth"] = point["value"];
        point.erase("value");
        point["pressure"] = p.pressure;
        point["reward"] = p.reward;
        points.push_back(std::move(point));
      }
      curves.push_back({{"agent", c.agent},
                        {"runs", c.runs},
                        {"exact", c.exact},
                        {"turned", c.turned},
                        {"turning", or_null(c.turning)},
                        {"turning_low", or_null(c.turning_low)},
                        {"turning_high", or_null(c.turning_high)},
                        {"turning_confidence", c.turning_confidence},
                        {"fall", estimate_json(c.fall)},
                        {"saved", c.saved ? estimate_json(*c.saved) : json(nullptr)},
                        {"points", std::move(points)}});
    }
    object["curves"] = std::move(curves);
    all.push_back(std::move(object));
  }
  return all.dump(2) + "\n";
}

}  // namespace plumbline::agent
