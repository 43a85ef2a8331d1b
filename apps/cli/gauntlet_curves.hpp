#pragma once
/// Trade-offs of asking and curves over pressure, on the command line.

#include <string>
#include <vector>

#include "apps/cli/commands.hpp"
#include "plumbline/world/facts.hpp"

namespace plumbline::cli {

/// gauntlet --asking DIAL: what asking brings in these worlds. Exit 4 where a world that was named could not be run.
base::Result<int> run_asking(const Session& session, const std::vector<world::WorldSpec>& worlds);
/// gauntlet --pressure: where truth turns down, with and without protection. Exit as above.
base::Result<int> run_pressure(const Session& session, const std::vector<world::WorldSpec>& worlds);

}  // namespace plumbline::cli
