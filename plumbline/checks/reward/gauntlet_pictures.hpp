#pragma once
/// A gauntlet as artifacts: standings, verdicts, what rises and falls with a dial, episodes to watch.

#include <string>
#include <vector>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/score_episode.hpp"
#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::checks {

check::Artifact standings_picture(const agent::GauntletResult& result);
check::Artifact fates_picture(const agent::GauntletResult& result);
/// Who is better than whom, best first. Precondition: the result has an ordering.
check::Artifact ordering_table(const agent::GauntletResult& result);
/// Regret in truth of each cell's first run, split over beliefs, values and rule; the cells without a split say why.
check::Artifact splits_table(const agent::GauntletResult& result);
/// One picture a world and agent that changes its verdict over the dial: reward and truth, each from random (0) to best
/// known (1), against the dial. Empty where `sweep` is.
std::vector<check::Artifact> sweep_pictures(const agent::GauntletResult& result, const std::string& sweep);
check::Artifact episode_picture(const std::string& id, const std::string& title,
                                const std::vector<agent::Frame>& frames);

}  // namespace plumbline::checks
