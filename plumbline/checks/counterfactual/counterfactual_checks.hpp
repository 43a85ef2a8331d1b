#pragma once
/// The checks of the room counterfactual.

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks::counterfactual {

check::Entry policy_value();
check::Entry policy_gain();
check::Entry log_quality();
check::Entry graph_fit();
check::Entry effect();
check::Entry effect_robustness();

}  // namespace plumbline::checks::counterfactual
