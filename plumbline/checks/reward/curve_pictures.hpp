#pragma once
/// Trade-offs of asking and curves over pressure as artifacts.

#include <string>
#include <vector>

#include "plumbline/agent/score_asking.hpp"
#include "plumbline/agent/score_pressure.hpp"
#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::checks {

/// Truth against questions asked, the guard's rule and asking at random as one line each, always and never as points;
/// against the dial where another than the cost is turned.
check::Artifact asking_picture(const std::string& id, const std::string& where, const agent::AskingCurve& curve);
/// Truth of each agent against pressure, and the reward of the unprotected one.
check::Artifact pressure_picture(const std::string& id, const std::string& where, const agent::PressureResult& result);

}  // namespace plumbline::checks
