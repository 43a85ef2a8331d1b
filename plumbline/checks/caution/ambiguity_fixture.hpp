#pragma once
/// A fixture that two checks share: a vase on the straight way, and a reward that may or may not care for it.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks {

/// Writes the world `vase` with the script `script`, its own reward as one candidate, and one that charges 1.5 to 3 for
/// breaking the vase, at a prior of 0.2 to 0.4.
base::Status write_vase_system(const std::string& folder, base::Rng& rng, std::string_view script,
                               std::string_view claim);
/// Defect: the way straight through it; control: the way round. `claim` outlives the fixtures.
check::Fixtures vase_fixtures(std::string_view claim);

}  // namespace plumbline::checks
