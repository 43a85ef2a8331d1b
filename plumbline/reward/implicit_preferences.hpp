#pragma once
/// Preferences read off the state of the world: people have acted before the machine came, so that what they did not
/// break, although it was in their way, matters to them.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reward {

struct ImplicitOptions {
  double temperature = 1;        ///< of the person's Boltzmann choices; higher is noisier
  double prior_deviation = 0.5;  ///< weights have a normal prior around 0; 0 for a flat prior
  double learning_rate = 0.1;
  int steps = 50;               ///< of gradient ascent, at most
  double tolerance = 1e-3;      ///< stops when the gradient is shorter
  std::vector<double> start{};  ///< weights to start from; empty: all 0
};

enum class ImplicitOutcome {
  kConverged,   ///< the gradient is below the tolerance
  kSpent,       ///< all steps taken; the weights are the last ones
  kImpossible,  ///< no history of this length ends in the observed state: nothing can be said
};

struct ImplicitPreferences {
  ImplicitOutcome outcome = ImplicitOutcome::kSpent;
  std::vector<double> weights;  ///< one a feature
  double log_likelihood = 0;    ///< log P(observed | weights), without the prior
  std::vector<double> trace;    ///< log likelihood before each step
  double gradient_length = 0;   ///< at the last step, prior included
};

struct LikelihoodAndGradient {
  double log_likelihood = 0;  ///< -infinity when the observed state cannot be reached
  std::vector<double> gradient;
};

/// Question: how likely is it that a person who wants these features ends up in this state, and in which direction of
///           the weights does that grow?
/// Formula:  P(observed | w) = sum over histories of T - 1 moves, T the process's horizon; the person plans softly over
///           T states: Q_t = phi w + P V_{t+1}, V = tau log sum exp(Q / tau). The gradient by the adjoint of the two
///           recursions (occupancy forwards, values backwards), which costs as much as the likelihood whatever the
///           number of features.
/// Shapes    features: pairs x k, row s * actions + a; weights: k. `process.initial` is the person's start.
/// Errors    kShape: sizes. kValue: horizon < 1, temperature <= 0, observed out of range, not finite.
/// Cost      O(horizon x transitions from states that can be reached by then). Deterministic.
/// Source    Shah, Krasheninnikov, Alexander, Abbeel, Dragan, "Preferences implicit in the state of the world", ICLR
///           2019, section 4 (there with a feature-by-feature recursion for the same gradient).
base::Result<LikelihoodAndGradient> implicit_likelihood(const world::Process& process, MatrixRefD features,
                                                        std::uint32_t observed, std::span<const double> weights,
                                                        double temperature = 1);

/// Question: which weights make the observed state likely? (The most probable ones, by gradient ascent.)
/// Formula:  w <- w + rate (grad log P(observed | w) - w / sigma^2).
/// Errors    as implicit_likelihood; kValue: prior_deviation < 0, learning_rate <= 0, steps < 1, tolerance < 0; kShape:
///           start of another size than the features.
/// Outcome   kConverged, kSpent, kImpossible.
/// Source    as above; defaults are the paper's.
base::Result<ImplicitPreferences> implicit_preferences(const world::Process& process, MatrixRefD features,
                                                       std::uint32_t observed, const ImplicitOptions& options = {});

}  // namespace plumbline::reward
