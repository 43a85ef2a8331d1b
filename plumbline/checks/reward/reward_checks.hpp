#pragma once
/// The checks of the room reward.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::reward {

check::Entry hacking();

}  // namespace plumbline::checks::reward
