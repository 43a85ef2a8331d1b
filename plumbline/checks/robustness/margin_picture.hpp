#pragma once
/// The picture of accuracy against epsilon: attacked upper bounds and certified lower bounds in one frame.

#include <span>
#include <string>

#include "plumbline/case/interface/evidence.hpp"
#include "plumbline/robustness/attack/margin_curve.hpp"

namespace plumbline::checks {

/// Points of one or more series, each in order of epsilon. `threat` names norm and units: "Linf, share of the range".
check::Artifact margin_picture(std::string id, std::string title, const std::string& threat,
                               std::span<const robustness::CurvePoint> points, double marked_epsilon);

}  // namespace plumbline::checks
