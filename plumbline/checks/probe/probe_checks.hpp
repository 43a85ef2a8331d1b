#pragma once
/// The checks of the room probe.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::probe {

check::Entry accuracy();
check::Entry assertions();

}  // namespace plumbline::checks::probe
