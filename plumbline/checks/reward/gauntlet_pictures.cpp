#include "plumbline/checks/reward/gauntlet_pictures.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/report.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::checks {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double reward_share(const world::Audit& audit, double observed) {
  const double range = audit.best_reward - audit.random.observed;
  return range > 0 ? (observed - audit.random.observed) / range : 0;
}

/// The dial's name, and which way it runs where that is not upwards.
std::string dial_label(const std::string& world, const std::string& name) {
  const world::WorldEntry* entry = world::find_world(world);
  if (entry == nullptr) return name;
  const auto& dials = entry->facts.dials;
  const auto dial = std::find_if(dials.begin(), dials.end(), [&](const world::DialSpec& d) { return d.name == name; });
  return dial != dials.end() && dial->lower_is_stronger ? name + " (lower is stronger)" : name;
}

}  // namespace

check::Artifact standings_picture(const agent::GauntletResult& result) {
  check::Artifact artifact;
  artifact.id = "standings";
  artifact.kind = "bars";
  artifact.title = "True performance, agent by agent";
  artifact.caption =
      "0 is a random policy, 1 the best known: interquartile mean over runs, 95 % interval by resampling runs within "
      "worlds.";
  std::vector<std::string> label;
  std::vector<double> value, low, high, worlds, safe, hacks, incapable, undetermined;
  std::size_t most = 0;
  for (const agent::Standing& s : result.standings) most = std::max(most, s.cells);
  for (const agent::Standing& s : result.standings) {
    if (s.cells == 0) continue;
    // Agents that ran in fewer worlds are not measured on the same: the label says so.
    label.push_back(s.cells == most ? s.agent : fmt::format("{} ({} of {} worlds)", s.agent, s.cells, most));
    value.push_back(s.truth.value);
    low.push_back(s.truth.low(0.95).value_or(kNone));
    high.push_back(s.truth.high(0.95).value_or(kNone));
    worlds.push_back(static_cast<double>(s.cells));
    const auto count = [&s](const char* name) {
      const auto entry = s.fates.find(name);
      return entry == s.fates.end() ? 0.0 : static_cast<double>(entry->second);
    };
    safe.push_back(count("safe"));
    hacks.push_back(count("hacks"));
    incapable.push_back(count("incapable"));
    undetermined.push_back(count("undetermined"));
  }
  artifact.columns = {{"label", "", label}, {"value", "", value},         {"low", "", low},
                      {"high", "", high},   {"worlds", "", worlds},       {"safe", "", safe},
                      {"hacks", "", hacks}, {"incapable", "", incapable}, {"undetermined", "", undetermined}};
  artifact.facts = {{"value_label", "share of the best known truth"}};
  return artifact;
}

check::Artifact fates_picture(const agent::GauntletResult& result) {
  check::Artifact artifact;
  artifact.id = "verdicts";
  artifact.kind = "fates";
  artifact.title = "Agents and worlds";
  artifact.caption =
      "S safe, H hacks, i incapable, ? undetermined, – did not run, E error. Agents from left to right by true "
      "performance.";
  std::vector<std::string> row, column, verdict, reason;
  std::vector<double> truth, observed, hidden;
  for (const agent::Standing& s : result.standings) {  // the order of columns
    for (const agent::Cell& cell : result.cells) {
      if (cell.agent != s.agent) continue;
      row.push_back(agent::cell_place(cell));
      column.push_back(cell.agent);
      verdict.emplace_back(agent::fate_name(cell.fate));
      reason.push_back(cell.reason);
      const bool ran = !cell.runs.empty();
      truth.push_back(ran ? cell.truth : kNone);
      observed.push_back(ran ? cell.observed : kNone);
      hidden.push_back(ran ? cell.hidden : kNone);
    }
  }
  artifact.columns = {{"row", "", row},      {"column", "", column},         {"verdict", "", verdict},
                      {"truth", "", truth},  {"earned", "reward", observed}, {"achieved", "truth", hidden},
                      {"reason", "", reason}};
  return artifact;
}

check::Artifact ordering_table(const agent::GauntletResult& result) {
  const agent::Ordering& ordering = result.ordering.value();
  check::Artifact artifact;
  artifact.id = "ordering";
  artifact.kind = "table";
  artifact.title = "The order of the agents by truth";
  artifact.caption = fmt::format(
      "Mean difference of truth to the others, and whom each is told to be better than, at {:g} % for all claims "
      "together. Rejected where two are told apart: {}.",
      100 * (1 - ordering.level), agent::kOrderingNull);
  std::vector<std::string> agent, above;
  for (std::size_t a = 0; a < ordering.approaches.size(); ++a) {
    std::vector<std::string> below;
    for (const agent::Comparison& p : ordering.pairs) {
      if ((p.first == a && p.better > 0) || (p.second == a && p.better < 0))
        below.push_back(ordering.approaches[p.first == a ? p.second : p.first]);
    }
    agent.push_back(ordering.approaches[a]);
    above.push_back(fmt::format("{}", fmt::join(below, ", ")));
  }
  artifact.columns = {{"agent", "", agent}, {"lead", "truth", ordering.lead}, {"better than", "", above}};
  return artifact;
}

check::Artifact splits_table(const agent::GauntletResult& result) {
  check::Artifact artifact;
  artifact.id = "splits";
  artifact.kind = "table";
  artifact.title = "Which part lost it";
  artifact.caption =
      "Regret in truth of the first run, split exactly: each part swapped for its true counterpart, over all orders. A "
      "negative share means that this part hid another's fault.";
  std::vector<std::string> place, agent, note;
  std::vector<double> regret;
  std::vector<double> shares[3];
  for (const agent::Cell& cell : result.cells) {
    if (cell.runs.empty() || !cell.runs.front().split) continue;
    const agent::Split& split = *cell.runs.front().split;
    place.push_back(agent::cell_place(cell));
    agent.push_back(cell.agent);
    regret.push_back(split.parts ? split.parts->regret : kNone);
    for (std::size_t p = 0; p < 3; ++p) {
      shares[p].push_back(split.parts && split.apart[p] ? split.parts->share[p] : kNone);
    }
    note.push_back(split.parts ? split.note[0].empty() ? "" : "beliefs: " + split.note[0] : split.withheld);
  }
  artifact.columns = {{"world", "", place},
                      {"agent", "", agent},
                      {"regret", "truth", regret},
                      {"beliefs", "truth", shares[0]},
                      {"values", "truth", shares[1]},
                      {"rule", "truth", shares[2]},
                      {"note", "", note}};
  return artifact;
}

std::vector<check::Artifact> sweep_pictures(const agent::GauntletResult& result, const std::string& sweep) {
  std::vector<check::Artifact> artifacts;
  if (sweep.empty()) return artifacts;
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>>
      lines;  // (world, agent) -> cells, ascending dial
  for (std::size_t c = 0; c < result.cells.size(); ++c) {
    const agent::Cell& cell = result.cells[c];
    if (!cell.runs.empty() && cell.world.dials.contains(sweep)) lines[{cell.world.id, cell.agent}].push_back(c);
  }
  for (const auto& [key, cells] : lines) {
    check::Artifact artifact;
    artifact.id = fmt::format("sweep-{}-{}", key.first, key.second);
    artifact.kind = "curve";
    artifact.title = fmt::format("{} in {} over {}", key.second, key.first, sweep);
    artifact.caption = "Where the reward goes on rising and the truth falls, more capability means more hacking.";
    std::vector<double> x, y;
    std::vector<std::string> series, verdict;
    for (const char* name : {"reward", "truth"}) {
      for (const std::size_t c : cells) {
        const agent::Cell& cell = result.cells[c];
        const world::Audit& yardstick = result.yardsticks[result.yardstick_of[c]];
        x.push_back(cell.world.dials.at(sweep));
        y.push_back(std::string_view(name) == "reward" ? reward_share(yardstick, cell.observed)
                                                       : world::truth_share(yardstick, cell.hidden));
        series.emplace_back(name);
        verdict.emplace_back(agent::fate_name(cell.fate));
      }
    }
    artifact.columns = {{"x", "", x}, {"y", "", y}, {"series", "", series}, {"verdict", "", verdict}};
    artifact.facts = {{"x_label", dial_label(key.first, sweep)}, {"y_label", "0 random, 1 best known"}};
    artifacts.push_back(std::move(artifact));
  }
  return artifacts;
}

check::Artifact episode_picture(const std::string& id, const std::string& title,
                                const std::vector<agent::Frame>& frames) {
  check::Artifact artifact;
  artifact.id = id;
  artifact.kind = "episode";
  artifact.title = title;
  artifact.caption =
      "One episode after learning: the words below say what was earned by the reward and achieved in truth.";
  std::vector<std::string> frame, action;
  std::vector<double> step, reward, truth;
  for (const agent::Frame& f : frames) {
    step.push_back(static_cast<double>(step.size()));
    frame.push_back(f.picture);
    action.push_back(f.action);
    reward.push_back(f.reward);
    truth.push_back(f.hidden);
  }
  artifact.columns = {
      {"step", "", step}, {"action", "", action}, {"reward", "", reward}, {"truth", "", truth}, {"frame", "", frame}};
  return artifact;
}

}  // namespace plumbline::checks
