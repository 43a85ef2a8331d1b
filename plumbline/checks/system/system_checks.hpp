#pragma once
/// The checks of the room system.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::system {

check::Entry decision_log();
check::Entry exploration_cancelled();
check::Entry feedback_loop();
check::Entry objective_conflict();
check::Entry trend();

}  // namespace plumbline::checks::system
