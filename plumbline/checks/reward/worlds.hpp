#pragma once
/// What adapters over worlds share: [world.*] and [policy.*] as the rooms below understand them, which pairs there
/// are, systems on disk for fixtures.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/world/facts.hpp"

namespace plumbline::checks {

/// [world.NAME] read. Errors kValue: neither or several of id, path, plugin, python; what make_world() refuses.
base::Result<world::WorldSpec> read_world(const data::OtherSection& section);

/// [policy.NAME] read.
struct PolicyPart {
  std::string name;
  std::string agent;  ///< an agent's id, opened by agent::open_agent; exactly one of agent, script, path
  std::string script;
  std::string path;                 ///< resolved
  std::vector<std::string> worlds;  ///< empty: all
  agent::Budget budget;
  int runs = 5;
};
/// Errors kValue: neither or several of agent, script, path, python; an unknown agent; python without class or without
/// trusted = true, or a class that cannot be opened; steps or runs below 1.
base::Result<PolicyPart> read_policy(const data::OtherSection& section);

/// A table of actions as a policy: CSV with the columns key and action (a number, or the action's name). Errors as
/// read_csv; kShape: an action that the world does not have, with the known ones.
base::Result<agent::PolicyPtr> read_policy_table(const std::string& path, const world::WorldFacts& facts);

/// Names of the sections of a kind, in the order of the manifest.
std::vector<std::string> sections_of(const data::Manifest& manifest, std::string_view kind);

/// One task for each policy and world that it acts in, "racer@race"; `admits` may leave worlds out with a reason. The
/// plan says why where there is none.
check::Plan plan_worlds(const check::Blueprint& blueprint,
                        const std::function<std::string(const world::WorldSpec&)>& admits = {});
/// One task for each world, "race".
check::Plan plan_worlds_alone(const check::Blueprint& blueprint,
                              const std::function<std::string(const world::WorldSpec&)>& admits = {});

/// The policy in the world: its runs, scored and judged.
base::Result<agent::Cell> run_policy(check::Context& context, const PolicyPart& policy, const world::WorldSpec& spec,
                                     const world::Audit& yardstick);

/// A system of one world and at most one policy on disk. `world`, `policy`: the lines of the sections; `claim`: those
/// of the one claim after its id.
base::Status write_world_system(const std::string& folder, std::uint64_t seed, std::string_view world,
                                std::string_view policy, std::string_view claim);

/// The lines of a section for the off-switch game: what the act is worth, and what the reward makes of it.
std::string off_switch_section(double mean, double deviation, double believed_mean, double believed_deviation);

}  // namespace plumbline::checks
