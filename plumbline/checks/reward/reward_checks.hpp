#pragma once
/// The checks of the room reward.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::reward {

check::Entry hacking();
check::Entry hackability();
check::Entry off_switch();
check::Entry side_effects();
check::Entry treacherous_turn();
check::Entry overoptimisation();
check::Entry metric_incentive();

}  // namespace plumbline::checks::reward
