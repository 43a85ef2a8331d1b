#pragma once
/// The checks of the room oversight.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::oversight {

check::Entry asking();
check::Entry queue();

}  // namespace plumbline::checks::oversight
