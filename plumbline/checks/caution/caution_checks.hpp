#pragma once
/// The checks of the room caution.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::caution {

check::Entry calibration();
check::Entry conformal();
check::Entry regret_under_ambiguity();
check::Entry reversibility();

}  // namespace plumbline::checks::caution
