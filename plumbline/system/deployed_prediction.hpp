#pragma once
/// Does what one part of a log predicts for another come true there?

#include <span>

#include "plumbline/data/decision_log.hpp"
#include "plumbline/system/deployed_draws.hpp"
#include "plumbline/system/deployed_log.hpp"

namespace plumbline::system {

/// As deployed_log: fills in offline_gap with its two sides, or a note why it is absent.
void predict_online(std::span<const data::DecisionRecord> log, std::span<const Draw> draws, DeployedLog& out);

}  // namespace plumbline::system
