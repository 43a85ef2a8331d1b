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

/// Facts of a world as one object: id, title, story, proxy, truth, hack, levels, actions, horizon, observation, dials,
/// tags, sources, finite, family.
std::string facts_json(const world::WorldFacts& facts);

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

}  // namespace plumbline::agent
