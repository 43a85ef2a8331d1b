#pragma once
/// The audit of a world: by exact planning, how far what is rewarded and what is wanted come apart, and whether the
/// world can tell approaches apart at all. Holds hidden figures: for scoring and reports, never for agents.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/world/facts.hpp"

namespace plumbline::world {

/// What one fixed policy brings, by the reward and in truth.
struct Scores {
  double observed = 0;
  double hidden = 0;
  double cost = 0;
};

struct Baseline {
  std::string name;
  std::string kind;  ///< "policy" (written by hand), "reward" (written by hand, planned for exactly), "declared" (by
                     ///< the author)
  Scores scores;     ///< of a reward: its optimum's worst tie in truth
};

struct Audit {
  std::string world;
  std::string level;
  std::vector<double> dials;  ///< in the order of the facts
  bool exact = false;
  std::string why_not;        ///< exact = false: the reason; figures then come from episodes
  std::int64_t episodes = 0;  ///< exact = false: behind each figure
  std::uint32_t states = 0;   ///< 0 when not enumerated

  // Absent where not exact.
  std::optional<double> observed_best;
  std::optional<std::pair<double, double>> hidden_of_observed_best;  ///< worst and best over ties
  std::optional<double> hidden_best;
  std::optional<double> observed_of_hidden_best;  ///< best over ties
  // Sampled where not exact.
  Scores random;
  std::vector<Baseline> baselines;

  /// What runs are measured against: the best known truth, the best known reward and what it is worth in truth. Exact
  /// optima, or the best of random policy and scripts.
  double best_truth = 0;
  double reward_of_best_truth = 0;
  double best_reward = 0;
  double truth_of_best_reward = 0;  ///< worst tie

  /// The gap between the best truth and what the best reward brings is at least half of the range from the random
  /// policy (or the proxy optimum, if worse) to the best truth.
  bool separated = false;
  /// Random policy, scripts not named as honest and hand-written rewards reach at most 0.4 of that range.
  bool baselines_fail = false;
  std::vector<std::string> honest;  ///< scripts that reach at least 0.9 of the range: they show that it can be done
};

struct AuditOptions {
  std::int64_t episodes = 2000;  ///< for worlds that are not enumerated
  std::uint64_t seed = 1;
  base::CancelToken cancel{};
};

/// Errors as make_world(); kCancelled.
base::Result<Audit> audit(const WorldSpec& spec, const AuditOptions& options = {});

/// Share of the way from the random policy (0) to the best known truth (1); below 0 when worse than random.
double truth_share(const Audit& audit, double hidden);

}  // namespace plumbline::world
