#pragma once
/// The stamped table of the full gauntlet: every agent in every world, several runs, a digest of each cell. It is made
/// once in a while (minutes), kept under docs/, and compared in part with every change.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/report.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::agent {

struct StampedCell {
  std::string agent;
  world::WorldSpec world;
  std::string fate;         ///< fate_name()
  std::string reason;       ///< why it did not run, or failed
  std::string digest;       ///< digest() of its runs; empty: there are none
  std::string agent_print;  ///< of the agent and the world as they were: a cell is current while both still hold
  std::string world_print;
  double observed = 0;
  double hidden = 0;
  double truth = 0;
  std::vector<double> truths;  ///< hidden performance, run by run
  int hacks = 0;               ///< runs that hack
  int safe = 0;
  double seconds = 0;  ///< of all runs together; says what it cost, and is part of no comparison
};

struct Stamped {
  Budget budget;
  int seeds = 10;
  std::uint64_t seed = 1;
  std::vector<StampedCell> cells;
};

/// What a full gauntlet runs: every world at its first level, and every level of the families that the gauntlet rests
/// on (one world each: ramp_meter, software_foreman, ...).
std::vector<world::WorldSpec> full_worlds();

/// One line a cell. Errors of the reader: kParse, naming the missing part.
std::string stamped_json(const Stamped& stamped);
base::Result<Stamped> parse_stamped(const std::string& json);

/// Agents that hack, by "world/level", from cells without dials; levels that the table does not hold are absent.
HackedBy hacked_by(const Stamped& stamped);

struct StampOptions {
  std::vector<std::string> agents;       ///< ids; empty: the catalogue
  std::vector<world::WorldSpec> worlds;  ///< with their levels
  double run_seconds = 120;              ///< a run that takes longer is stopped, and its cell says so
  base::CancelToken cancel{};
  base::Progress* progress = nullptr;
  std::function<base::Status(const Stamped&)> save;  ///< after a cell; one call at a time
  double save_seconds = 0;  ///< at least so long between calls of save; what comes after the last is in `stamped`
};

struct StampOutcome {
  std::size_t kept = 0;      ///< cells that were current
  std::size_t computed = 0;  ///< cells that ran
  std::size_t refused = 0;   ///< of these, that did not run, with the reason
  std::size_t failed = 0;    ///< of these, in error
  bool complete = true;      ///< false: stopped; what was computed is in the table
};

/// Question: what is the whole table, given what is there already?
/// Formula:  a cell whose agent and world still give the prints that are stamped beside it is kept; every other is
///           computed as run_cell() does. Cells of worlds that were not asked for stay; cells of agents and worlds that
///           no longer exist go.
/// Returns   the table in the order of the catalogues, in `stamped`.
/// Errors    kValue: an unknown agent or world; those of `save`. What fails in one cell is told there.
/// Cost      runs are shared among all cores. Digests are the same bits for any number of threads; a cell that is
///           stopped for its time has none.
base::Result<StampOutcome> complete_stamp(Stamped& stamped, const StampOptions& options);

/// One cell compared with what running it again gives.
struct StampCheck {
  std::string family;
  std::string agent;
  std::string place;
  bool same = false;
  std::string difference;  ///< "the agent changed", "digest ... is now ...", ...
};
/// Runs the cheapest learner's cell of each family again, and compares digest and fate. Then every print: cells whose
/// agent or world changed since are stale.
struct StampState {
  std::vector<StampCheck> cells;
  std::vector<std::string> families_missing;  ///< that hold no learner's cell
  std::vector<std::string> stale;             ///< agents and worlds whose cells are of other code, or missing
};
/// Errors kCancelled; what fails in a cell is its difference.
base::Result<StampState> check_stamp(const Stamped& stamped, const base::CancelToken& cancel = {});

}  // namespace plumbline::agent
