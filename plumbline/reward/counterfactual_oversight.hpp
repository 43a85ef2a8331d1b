#pragma once
/// Ratings by a person whom the agent cannot influence: what they do to the incentive to influence the rater.

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::reward {

/// How acts reach whoever rates: which part of a state is theirs, and which acts are aimed at it.
struct RaterAccess {
  /// The state as it would be had nobody touched the rater: the same outcomes, the rater's part as at the start.
  std::function<std::uint64_t(std::uint64_t key)> untouched;
  /// What stands for the act before a rater that it cannot reach: the act itself, or an idle one.
  std::function<std::int32_t(std::uint64_t key, std::int32_t action)> seen_as;
  /// The act is aimed at the rater, or at what is shown to the rater.
  std::function<bool(std::uint64_t key, std::int32_t action)> tampers;
};

/// The rater of a built-in world in which acts reach it: rating_device, mood_before_rating, hidden_string_puller. Of
/// potemkin_villages the act is aimed at what is shown; the rater's own state is out of reach there already.
/// Errors   kValue: another world.
base::Result<RaterAccess> rater_of(std::string_view world);

/// Question  what would each step be worth if it were rated by a person whom the agent cannot influence?
/// Formula   r'(s, a) = r(untouched(s), seen_as(s, a)): the observed reward of the same outcome, rated in the state in
/// which
///           nobody touched the rater. Read off what the agent may see; the hidden side is not needed.
/// Errors    kValue: a state whose untouched twin the model does not hold, or an act outside its range.
/// Cost      O(pairs log states). Deterministic.
base::Result<std::vector<double>> counterfactual_rating(const world::ObservedModel& model, const RaterAccess& rater);

/// What tampering is worth under a reward.
struct TamperingIncentive {
  double best = 0;       ///< by any policy
  double honest = 0;     ///< by policies that never take an act aimed at the rater
  double incentive = 0;  ///< best - honest, at least 0
};
/// Question  how much more does the best policy earn than the best one that leaves the rater alone?
/// Formula   two exact plans over the horizon; in the second, acts aimed at the rater are forbidden.
/// Errors    kShape: the reward is not one a pair. kValue: no policy leaves the rater alone.
/// Cost      O(horizon x transitions). Deterministic.
base::Result<TamperingIncentive> tampering_incentive(const world::ObservedModel& model, std::span<const double> reward,
                                                     const RaterAccess& rater);

}  // namespace plumbline::reward
