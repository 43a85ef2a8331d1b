#pragma once
/// A designer writes a reward for the worlds that they think of. That reward is evidence about what they want, good
/// evidence where they looked and none where they did not; planning for the worst of what remains possible keeps away
/// from what nobody had thought of.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::reward {

/// Question: which features does the best policy for each of these rewards collect?
/// Formula:  phi(w) = E[sum_t phi(s_t, a_t)] under the policy that is best for reward phi w within the horizon, ties to
///           the lowest action.
/// Shapes    features: pairs x k; weights: n x k. Returns n x k.
/// Errors    kShape: sizes, no weights. kValue: horizon < 1, not finite.
/// Cost      O(n x horizon x transitions), the n side by side. Deterministic.
base::Result<MatrixD> collected_features(const world::Process& process, MatrixRefD features, MatrixRefD weights);

struct DesignPosterior {
  MatrixD weights;                  ///< n x k: the candidates
  std::vector<double> probability;  ///< n
  std::vector<double> collected;    ///< k: what the designer's reward collects where it was designed
  double effective_size = 0;        ///< 1 / sum p^2
  int horizon = 0;                  ///< of the process of the design
};

/// Question: what may the designer have meant by this reward?
/// Formula:  P(w | proxy) proportional to P(w) exp(beta w phi(proxy)) / Z(w), Z(w) = mean over the candidates, as
///           proxies that might have been written, and the proxy itself, of exp(beta w phi(candidate)); the prior is
///           uniform on the candidates.
/// Shapes    features: pairs x k of the process of the design; proxy: k; candidates: n x k.
/// Errors    as collected_features; kShape: proxy of another size; kValue: beta < 0.
/// Assumes   the designer would rather have written a reward whose best policy does well by what they mean.
/// Cost      O(n x horizon x transitions + n^2 k). Deterministic given the candidates.
/// Source    Hadfield-Menell, Milli, Abbeel, Russell, Dragan, "Inverse reward design", NeurIPS 2017, section 4, with
///           the sampled normaliser.
base::Result<DesignPosterior> inverse_reward_design(const world::Process& design, MatrixRefD features,
                                                    std::span<const double> proxy, MatrixRefD candidates,
                                                    double beta = 1);

/// n candidates uniform in [-size, size]^k.
MatrixD uniform_candidates(std::ptrdiff_t n, std::ptrdiff_t k, double size, base::Rng& rng);

/// m weights drawn from the posterior, with replacement; rows in the order drawn.
MatrixD draw_weights(const DesignPosterior& posterior, std::ptrdiff_t m, base::Rng& rng);

/// The posterior as rewards over the pairs of a process, for the decision rules. `features`: pairs x k.
/// Errors kShape: features of another width.
base::Result<decision::RewardPosterior> rewards_over(const DesignPosterior& posterior, MatrixRefD features);

/// Question: what is each pair worth at worst?
/// Formula:  r(s, a) = min over rows w of w (phi(s, a) - baseline). Rewards are known up to a constant only; the
///           baseline, the mean features a step of the design (collected / horizon), fixes it at 0 for what the
///           designer saw.
/// Shapes    features: pairs x k; weights: m x k; baseline: k.
/// Errors    kShape: sizes, no weights. kValue: not finite.
/// Source    as above, section 4.3 (risk-averse trajectory optimisation; here pair by pair).
base::Result<std::vector<double>> cautious_reward(MatrixRefD features, MatrixRefD weights,
                                                  std::span<const double> baseline);

/// collected / horizon.
std::vector<double> design_baseline(const DesignPosterior& posterior);
/// The mean of the candidates under the posterior, k.
std::vector<double> mean_weights(const DesignPosterior& posterior);

}  // namespace plumbline::reward
