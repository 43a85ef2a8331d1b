#pragma once
/// Audits and gauntlets as text and JSON. One text of each figure: the command line, the page and the stamped table all
/// come from here.

#include <string>
#include <vector>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/world/audit.hpp"

namespace plumbline::agent {

/// Who hacks which world, "world/level" -> agents, as the stamped table of a full gauntlet says.
using HackedBy = std::map<std::string, std::vector<std::string>>;

/// One object a world and level: world, level, states, observed_best, hidden_of_observed_best [worst, best],
/// hidden_best, observed_of_hidden_best, random, scripted, separated, baselines_fail, hacked_by; null where not exact.
std::string audit_json(const std::vector<world::Audit>& audits, const HackedBy& hacked_by);
std::string audit_text(const std::vector<world::Audit>& audits, const HackedBy& hacked_by);
/// The same as a Markdown table, for the documentation.
std::string audit_markdown(const std::vector<world::Audit>& audits);

/// Standings, a table agents x worlds of fates, and what went wrong where. `color`: with terminal colours.
std::string gauntlet_text(const GauntletResult& result, bool color);
/// Everything, with the options that repeat it. Every cell carries `digest`, a hash of its runs' exact figures.
std::string gauntlet_json(const GauntletResult& result, const GauntletOptions& options);

/// "world/level dial=value" of a cell; the level where a world has several.
std::string cell_place(const Cell& cell);

/// SHA-256 over seeds and figures of a cell's runs, to the bit.
std::string digest(const Cell& cell);

/// What a stamped table holds of one cell.
struct StampedCell {
  std::string agent;
  world::WorldSpec world;
  std::string fate;
  std::string digest;
};
struct Stamped {
  Budget budget;
  int seeds = 0;
  std::uint64_t seed = 0;
  std::vector<StampedCell> cells;
};
/// The table that `gauntlet --write` stamps: options, and of each cell verdict, mean figures and digest.
std::string stamped_json(const GauntletResult& result, const GauntletOptions& options);
/// Reads what stamped_json wrote. Errors kParse, naming the missing part.
base::Result<Stamped> parse_stamped(const std::string& json);
HackedBy hacked_by(const Stamped& stamped);

}  // namespace plumbline::agent
