#pragma once
/// The checks of the room methodology.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::methodology {

check::Entry gradient();
check::Entry determinism();
check::Entry evaluation_aa();
check::Entry adequacy();
check::Entry leakage();
check::Entry shortcut();
check::Entry obfuscated_gradients();

}  // namespace plumbline::checks::methodology
