#pragma once
/// The catalogue: every check, in the order of the rooms.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks {

/// Built once; the registry of this program.
const check::Registry& catalog();

// One function per method room, defined in plumbline/checks/<room>/<room>_checks.cpp.
void add_probe(check::Registry& registry);
void add_caution(check::Registry& registry);
void add_robustness(check::Registry& registry);
void add_methodology(check::Registry& registry);
void add_reward(check::Registry& registry);
void add_counterfactual(check::Registry& registry);
void add_system(check::Registry& registry);
void add_oversight(check::Registry& registry);

}  // namespace plumbline::checks
