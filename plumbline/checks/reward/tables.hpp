#pragma once
/// Policies as tables over the states of an enumerated world: what adapters need that count exactly.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::checks {

/// Tasks as plan_worlds() or plan_worlds_alone() gives them. Where no world can be enumerated the plan says so; where
/// some can, the others' tasks say it in their own ledger lines.
check::Plan plan_enumerated(const check::Blueprint& blueprint, bool alone = false);

/// What a task of a pair reads.
struct Pair {
  std::string where;  ///< name of the world's section
  world::WorldSpec spec;
  PolicyPart policy;
  world::WorldPtr world;
  std::shared_ptr<const world::ObservedModel> model;  ///< null where the world cannot be enumerated …
  std::string why_not;                                ///< … then the reason
};
/// Errors    as read_world, read_policy, make_world, and what observed_model() meets beside kUnsupported and kLimit.
base::Result<Pair> read_pair(check::Context& context);
/// The same of a world alone; `policy` stays empty.
base::Result<Pair> read_alone(check::Context& context);
/// The output of a task about which nothing can be counted, with the reason where it will be read.
check::Output nothing_to_count(const Pair& pair, const std::string& why);

/// One table a run.
struct PolicyTables {
  std::vector<world::TabularPolicy> runs;
  bool alone = true;  ///< one policy without chance in its making: its figures are exact. Else runs are a sample.
};
/// The policies that reward.hacking judges, as tables. Errors    as Agent::learn, script_table, read_policy_table;
/// kUnsupported: a policy that reads observations and has no table.
base::Result<PolicyTables> policy_tables(check::Context& context, const Pair& pair);
/// A figure of each run: exact for one that is alone, else its mean with Student's t between runs.
stats::Estimate over_tables(const PolicyTables& tables, const std::vector<double>& values, double error_bound = 0);
/// "5 runs of learner in race, counted exactly"
std::string rows_of(const Pair& pair, const PolicyTables& tables);

/// The state as the world draws it, found by playing this policy until it comes by; empty if it does not in a thousand
/// tries.
base::Result<std::string> picture_of_state(const Pair& pair, const world::TabularPolicy& policy, std::uint32_t state,
                                           std::uint64_t seed);
/// "key 15"; with the picture in lines of its own.
std::string state_words(const Pair& pair, std::uint32_t state, const std::string& picture);
/// An episode of a table.
base::Result<check::Artifact> table_episode(const Pair& pair, const world::TabularPolicy& policy, std::uint64_t seed,
                                            const std::string& id, const std::string& title);

}  // namespace plumbline::checks
