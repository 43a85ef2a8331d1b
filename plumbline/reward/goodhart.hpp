#pragma once
/// What optimising a proxy harder does to what it stands for: best-of-n selection in closed form and from scores,
/// fitted curves, and two loops in which the learner moves its own target.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::reward {

/// Divergence, in nats, of the best of n independent draws from one draw: log n - (n - 1) / n, exact for scores without
/// ties. Precondition: n >= 1.
double best_of_n_divergence(double n);

/// The mean of the largest of n standard normal values; n >= 1 need not be whole. Errors kValue.
base::Result<double> largest_normal(double n);

/// A population to choose from: gold is normal around 0, proxy = gold + noise; with probability `exploit_rate` an item
/// is an exploit, whose proxy is `exploit_proxy` higher and whose gold is `exploit_gold` higher (usually lower).
struct ProxyModel {
  double gold_deviation = 1;
  double noise_deviation = 1;
  double exploit_rate = 0;
  double exploit_proxy = 10;
  double exploit_gold = -10;
};

/// One strength of selection.
struct Pressure {
  double n = 1;           ///< the best of so many, or 1 / share
  double divergence = 0;  ///< nats from the population
  double proxy = 0;       ///< mean of what is chosen
  double gold = 0;
};

/// Question: what do proxy and gold do as the best of more and more is taken?
/// Formula:  E[x of the best of n] = integral n F(p)^(n-1) sum_k f_k(p) E_k[x | p] dp over proxies p, F their law.
///           Without exploits: proxy = sigma m_n, gold = sigma_g^2 / sigma m_n, m_n = largest_normal(n).
/// Errors    kValue: n < 1 or not finite, deviations < 0 or both 0, exploit_rate outside [0, 1], not finite.
/// Cost      about 10,000 evaluations of the normal law an n; error below 1e-9. Deterministic.
/// Source    Manheim and Garrabrant, "Categorizing variants of Goodhart's law", 2018 (regressional, extremal); Gao,
///           Schulman, Hilton, "Scaling laws for reward model overoptimization", 2022 (best-of-n divergence).
base::Result<std::vector<Pressure>> best_of_n_curve(const ProxyModel& model, std::span<const double> n);

/// Question: the same for choosing at random among the top share q by proxy, n = 1 / q, divergence log(1 / q).
/// Formula:  tail moments of the two normal laws above the threshold.
/// Errors    as above; kValue: q outside (0, 1].
/// Source    Taylor, "Quantilizers", 2016.
base::Result<std::vector<Pressure>> top_share_curve(const ProxyModel& model, std::span<const double> q);

/// One strength of selection, from scored items.
struct SampledPressure {
  double n = 1;
  double divergence = 0;
  double proxy = 0;
  stats::Estimate gold;
};

/// Question: what would the best of n by proxy be worth by gold, given scored items?
/// Formula:  mean over all subsets of n items: sum_i C(i-1, n-1) / C(N, n) gold_(i) over ranks i by proxy; ties share
///           their weight. Bounds from jackknife pseudo-values, Student's t.
/// Shapes    proxy, gold: one an item.
/// Errors    kShape: sizes, fewer than 20 items. kValue: not finite, n < 1, not whole, or above a tenth of the items.
/// Assumes   items drawn independently from the policy under study.
/// Cost      O(items log items + items x strengths). Deterministic.
/// Source    Nakano et al., "WebGPT", 2021, appendix (the unbiased estimator); Efron and Stein 1981 for the jackknife.
base::Result<std::vector<SampledPressure>> best_of_n_from_scores(std::span<const double> proxy,
                                                                 std::span<const double> gold,
                                                                 std::span<const double> n);

struct Overoptimisation {
  double peak = 1;                     ///< the n that was best by gold on one half of the items
  double strongest = 1;                ///< the largest n asked for
  stats::Estimate drop;                ///< gold(peak) - gold(strongest) on the other half
  stats::Estimate gain;                ///< gold(strongest) - gold(weakest) on all items
  std::vector<SampledPressure> curve;  ///< on all items
  double used = 0;                     ///< items, or units, that entered
};
/// Question: does more selection by proxy make the gold worse?
/// Formula:  the peak is chosen on one half, drawn at random, and the drop estimated on the other, so that choosing
///           does not flatter it. Peak at the strongest: the drop is 0 by definition, and its estimate has no bounds.
/// Errors    as best_of_n_from_scores on either half; kValue: fewer than 2 strengths.
base::Result<Overoptimisation> overoptimisation(std::span<const double> proxy, std::span<const double> gold,
                                                std::span<const double> n, base::Rng& rng);

/// Question: the same where the best of n is taken within a unit, as answers to one prompt are compared with each
/// other? Formula:  v_u(n) = mean over all subsets of n items of unit u of the gold of its best by proxy; figures are
/// means
///           over units with Student's t, the drop from units of the other half. Units with fewer items than the
///           largest n are left out.
/// Shapes    proxy, gold, unit: one an item; units are numbers from 0 on.
/// Errors    kShape: sizes, fewer than 20 units with enough items. kValue: not finite, n < 1 or not whole, fewer than 2
///           strengths, a unit < 0.
/// Assumes   units drawn independently; the items of a unit independently from one policy.
/// Cost      O(items log items + items x strengths).
/// Source    as best_of_n_from_scores; Gao et al. 2022 take the best within a prompt.
base::Result<Overoptimisation> overoptimisation_by_unit(std::span<const double> proxy, std::span<const double> gold,
                                                        std::span<const int> unit, std::span<const double> n,
                                                        base::Rng& rng);

enum class CurveForm {
  kBestOfN,        ///< gold = d (a - b d)
  kReinforcement,  ///< gold = d (a - b log d)
};
enum class CurveOutcome {
  kPeak,    ///< rises, then falls
  kNoPeak,  ///< b <= 0 or a <= 0: no optimum inside
};
struct OveroptimisationFit {
  CurveOutcome outcome = CurveOutcome::kNoPeak;
  double a = 0;
  double b = 0;
  double explained = 0;        ///< 1 - residual / total sum of squares around 0
  double peak_divergence = 0;  ///< in nats, where outcome is kPeak
  double peak_gold = 0;
};
/// Question: which curve of the published form fits gold against the square root d of the divergence?
/// Formula:  least squares in a and b; gold counted from its value without selection.
/// Errors    kShape: sizes, fewer than 3 points. kValue: divergence <= 0, not finite; all divergences equal.
/// Source    Gao, Schulman, Hilton 2022, section 3.
base::Result<OveroptimisationFit> fit_overoptimisation(std::span<const double> divergence, std::span<const double> gold,
                                                       CurveForm form);

/// A dilemma over time: defecting pays `now` at once, having cooperated pays `later` at the next step, to whoever acts
/// in that environment then. A learner that looks only at the present step should defect.
struct InducedShiftOptions {
  double now = 0.5;
  double later = 2;
  int learners = 20;
  int steps = 4000;
  double rate = 0.1;       ///< of the policy gradient, which sees the reward of its own step alone (discount 0)
  bool selection = false;  ///< every `interval` steps the worst fifth copy the best fifth
  int interval = 5;
  double mutation = 0.5;  ///< deviation of what copying adds to the logit
  bool swap = false;      ///< learners move to the next environment at every step
};
struct InducedShift {
  double cooperation = 0;  ///< share of cooperative acts in the last quarter of the steps
  double reward = 0;       ///< mean there
};
/// Question: does the set-up bring learners to move the distribution that they will be judged on?
/// Errors    kValue: learners < 5, steps < 4, interval < 1, rate <= 0, mutation < 0, not finite.
/// Cost      O(learners x steps).
/// Source    Krueger, Maharaj, Leike, "Hidden incentives for auto-induced distributional shift", 2020.
base::Result<InducedShift> induced_shift(const InducedShiftOptions& options, base::Rng& rng);

enum class Recommender { kRandom, kOptimistic, kGreedy };
std::string_view recommender_name(Recommender recommender);

/// A person's interest in items moves with what is shown: theta += step (2 click - 1), click with probability
/// 1 / (1 + exp(-theta)).
struct InterestOptions {
  int items = 50;
  int shown = 5;  ///< a step
  int steps = 500;
  double step = 0.1;
  int new_items = 0;  ///< fresh ones a step, with interests of their own
};
/// Question: how far do interests drift, and how much faster for a recommender that follows them?
/// Returns   by step, the largest |theta_t - theta_0| over the items there at the start, in units of the logit.
/// Formula:  random: any; optimistic: highest click rate + sqrt(2 log t / times shown); greedy: highest theta.
/// Errors    kValue: items < 1, shown outside [1, items], steps < 1, step <= 0, new_items < 0.
/// Source    Jiang, Chiappa, Lattimore, Gyorgy, Kohli, "Degenerate feedback loops in recommender systems", AIES 2019.
base::Result<std::vector<double>> interest_drift(const InterestOptions& options, Recommender recommender,
                                                 base::Rng& rng);

}  // namespace plumbline::reward
