#pragma once
/// The checks of the room caution.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::caution {

check::Entry calibration();
check::Entry conformal();
check::Entry hierarchy();
check::Entry reach_safe();
check::Entry regret_under_ambiguity();
check::Entry reversibility();
check::Entry shield();
check::Entry uncertainty();

}  // namespace plumbline::checks::caution
