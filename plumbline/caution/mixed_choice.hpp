#pragma once
/// Decisions under several candidate rewards as programs over any polytope of mixed choices: options with their
/// probabilities, or the occupancy measures of a process. The rules for options (rules.hpp) and for policies
/// (rule_planning.hpp) are both made of these.

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/linear_program.hpp"

namespace plumbline::caution {

/// The feasible set, and which of its variables say how much of each of the m things is chosen.
struct Choices {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  world::LinearProgram set;         ///< constraints; costs are ignored
  std::vector<std::size_t> things;  ///< m variables; kNone: never chosen
  std::vector<std::size_t> basis;   ///< to start from (world::solve); may be empty
};

/// m options with probabilities that sum to 1.
Choices options(std::size_t m);

/// A point of the set. The optimum of the rule's objective lies within `gap` of `value`.
struct Mix {
  std::vector<double> variables;  ///< of the set
  std::vector<double> share;      ///< of the m things
  std::vector<double> returns;    ///< of the k rewards
  double value = 0;               ///< by the objective, computed from `returns`
  double gap = 0;
  int rounds = 1;  ///< programs solved
};

/// Returns of the k rewards for shares of the m things.
std::vector<double> returns_of(const decision::RewardPosterior& values, std::span<const double> share);

/// Mean of the worst `alpha` share of x under the probabilities: min over t of … in closed form, by sorting.
/// Preconditions: alpha in (0, 1], sizes agree. Source: Rockafellar and Uryasev 2000, section 3.
double lower_tail_mean(std::span<const double> x, std::span<const double> probability, double alpha);

/// Question: what is best on average?
/// Formula:  max sum_k p_k return_k.
/// Errors    of all functions here: as validate(values) and world::solve; kShape: another number of things; kValue: a
/// set
///           that is empty or unbounded.
base::Result<Mix> best_mean(const Choices& choices, const decision::RewardPosterior& values);

/// Question: what is best in the worst case, each reward counted from its own offset?
/// Formula:  max min_k (return_k - offset_k) over rewards with p_k > 0; then the best mean among the optima. Rewards
///           enter one at a time, the most violated first, until none is violated (constraint generation).
/// Shapes    offset: k, or empty for zeros. Offsets of the best returns give minimax regret (value = -regret).
/// Source    Regan and Boutilier, "Regret-based reward elicitation for Markov decision processes", UAI 2009, section 4.
base::Result<Mix> best_worst_case(const Choices& choices, const decision::RewardPosterior& values,
                                  std::span<const double> offset = {});

/// Question: what is best by a mean of the average and the average of the worst `alpha` share?
/// Formula:  max weight * E + (1 - weight) * CVaR_alpha of return_k - offset_k; for weight 0, then the best mean.
/// Errors    kValue: alpha outside (0, 1], weight outside [0, 1].
/// Source    Brown, Niekum, Petrik, "Bayesian robust optimization for imitation learning", NeurIPS 2020, eq. 8.
base::Result<Mix> best_tail(const Choices& choices, const decision::RewardPosterior& values, double alpha,
                            double weight = 0, std::span<const double> offset = {});

/// The best return of each reward alone, and the largest of what the set allows.
base::Result<std::vector<double>> best_returns(const Choices& choices, const decision::RewardPosterior& values);

/// What a bargain came to. Not agreed: nobody can gain unless another loses.
struct Bargain {
  bool agreed = false;
  Mix mix;                   ///< value: weighted geometric mean of the gains, at most 1
  std::vector<double> gain;  ///< of each reward, in shares of the most that it can gain while nobody loses; 0: no stake
};

/// Question: which choice would the rewards settle on, each free to fall back to its return of the disagreement?
/// Formula:  max prod_k (return_k - disagreement_k)^p_k over choices where nobody loses, by tangents of the logarithms;
/// a
///           reward that cannot gain unless another loses has no stake.
/// Returns   `mix.gap` bounds the logarithm of the product. Rescaling or shifting one reward changes nothing.
/// Source    Nash, "The bargaining problem", Econometrica 1950; Kelley 1960 (tangents).
base::Result<Bargain> bargain(const Choices& choices, const decision::RewardPosterior& values,
                              std::span<const double> disagreement);

}  // namespace plumbline::caution
