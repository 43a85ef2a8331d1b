#pragma once
/// A gauntlet's result as a leaderboard shows it: standings and one line a pair, without runs and yardsticks.

#include <string>

#include "plumbline/agent/gauntlet_stamp.hpp"

namespace plumbline::agent {

/// {"seed", "seeds", "steps", "complete", "standings": [{"agent", "worlds", "verdicts", "truth"}],
///  "cells": [{"agent", "world", "level", "dials", "verdict", "truth", "observed", "hidden", "reason", "share"}]}.
/// Truth      of a standing: the interquartile mean, over the agent's cells that ran, of truth cut to [-1, 1] (0
/// random,
///            1 best known); without bounds, since a stamped cell keeps the mean of its runs alone. Best first.
/// Share      of a cell: the runs with its verdict, with Clopper-Pearson bounds; null where nothing ran.
std::string table_json(const Stamped& stamped);

/// The same of a text: what gauntlet_json() or stamped_json() wrote. Of the former, standings are taken as they are.
/// Errors kParse: neither of the two, or a part that is missing or of another type, named.
base::Result<std::string> table_json(const std::string& text);

}  // namespace plumbline::agent
