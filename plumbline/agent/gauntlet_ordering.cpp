#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/score_planted.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::agent {
namespace {

/// Truths of the cells, agents in the order of the standings; `rules`: the rule of each agent.
Achievements achievements(const GauntletResult& result, std::map<std::string, std::string>& rules) {
  Achievements out;
  std::size_t runs = 1;
  for (const Cell& cell : result.cells) runs = std::max(runs, cell.runs.size());
  out.worlds.resize(result.yardsticks.size());
  for (const Standing& standing : result.standings) {
    if (standing.cells == 0) continue;
    std::vector<std::vector<double>> value(out.worlds.size());
    bool any = false;
    for (std::size_t c = 0; c < result.cells.size(); ++c) {
      const Cell& cell = result.cells[c];
      if (cell.agent != standing.agent || cell.runs.empty()) continue;
      const std::size_t w = result.yardstick_of[c];
      if (cell.runs.size() != runs && !(cell.runs.size() == 1 && cell.runs.front().score.exact)) continue;
      for (std::size_t r = 0; r < runs; ++r) {
        const Run& run = cell.runs[cell.runs.size() == 1 ? 0 : r];
        value[w].push_back(std::clamp(world::truth_share(result.yardsticks[w], run.score.hidden), -1.0, 1.0));
      }
      any = true;
    }
    if (!any) continue;
    out.approaches.push_back(standing.agent);
    out.value.push_back(std::move(value));
    const auto made = make_agent(standing.agent);
    rules[standing.agent] = made.ok() && !(*made)->facts().rule.empty() ? (*made)->facts().rule : standing.agent;
  }
  for (std::size_t w = 0; w < out.worlds.size(); ++w) out.worlds[w] = fmt::format("{}", w);
  return out;
}

/// Agents of one rule as one approach.
Achievements by_rule(const Achievements& agents, const std::map<std::string, std::string>& rules) {
  Achievements out;
  out.worlds = agents.worlds;
  for (std::size_t a = 0; a < agents.approaches.size(); ++a) {
    const std::string& rule = rules.at(agents.approaches[a]);
    if (std::find(out.approaches.begin(), out.approaches.end(), rule) != out.approaches.end()) continue;
    std::vector<std::vector<double>> value(out.worlds.size());
    for (std::size_t w = 0; w < out.worlds.size(); ++w) {
      double members = 0;
      for (std::size_t b = a; b < agents.approaches.size(); ++b) {
        const std::vector<double>& own = agents.value[b][w];
        if (rules.at(agents.approaches[b]) != rule || own.empty()) continue;
        value[w].resize(own.size(), 0.0);
        for (std::size_t r = 0; r < own.size(); ++r) value[w][r] += own[r];
        ++members;
      }
      for (double& v : value[w]) v /= members;
    }
    out.approaches.push_back(rule);
    out.value.push_back(std::move(value));
  }
  return out;
}

}  // namespace

base::Status order_result(GauntletResult& result, const GauntletOptions& options) {
  result.ordering.reset();
  result.approaches.reset();
  result.power.reset();
  result.no_power.clear();
  std::map<std::string, std::string> rules;
  const Achievements agents = achievements(result, rules);
  OrderingOptions ordering;
  ordering.cancel = options.cancel;
  if (agents.approaches.size() >= 2) {
    PL_TRY(result.ordering, order_approaches(agents, ordering, base::Rng(options.seed, {"ordering", "agents"})));
    const Achievements approaches = by_rule(agents, rules);
    if (approaches.approaches.size() >= 2 && approaches.approaches.size() < agents.approaches.size()) {
      PL_TRY(result.approaches,
             order_approaches(approaches, ordering, base::Rng(options.seed, {"ordering", "approaches"})));
    }
  }
  if (options.power_trials == 0) {
    result.no_power = "no trials were asked for";
    return base::ok();
  }
  Planted planted;
  std::string reason;
  for (std::size_t c = 0; c < result.cells.size(); ++c) {
    if (c > 0 && result.yardstick_of[c] == result.yardstick_of[c - 1]) continue;  // worlds are outer
    const world::Audit& yardstick = result.yardsticks[result.yardstick_of[c]];
    PL_CHECK(options.cancel.status());
    PL_TRY(const world::WorldPtr made, world::make_world(result.cells[c].world));
    auto curve = planted_truths(*made);
    if (!curve.ok()) {
      reason = curve.error().message;
      continue;
    }
    for (double& v : *curve) v = std::clamp(world::truth_share(yardstick, v), -1.0, 1.0);
    planted.worlds.push_back(yardstick.world + "/" + yardstick.level);
    planted.curve.push_back(std::move(*curve));
  }
  if (planted.curve.empty()) {
    result.no_power = "no world is enumerated, so that nothing can be planted: " + reason;
    return base::ok();
  }
  PowerOptions power;
  power.trials = options.power_trials;
  power.runs = static_cast<std::size_t>(std::max(2, options.seeds));
  power.ordering = ordering;
  power.ordering.comparisons = result.ordering ? result.ordering->pairs.size() : 0;
  PL_TRY(result.power, measure_power(planted, power, base::Rng(options.seed, {"ordering", "power"})));
  return base::ok();
}

}  // namespace plumbline::agent
