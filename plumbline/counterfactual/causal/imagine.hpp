#pragma once
/// Counterfactuals: what would have been, for the very case that was seen; and effects along some paths only.

#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/network.hpp"
#include "plumbline/counterfactual/causal/query.hpp"

namespace plumbline::counterfactual::causal {

/// How the chance in a table hangs together across what the parents might have been. A table says how often a variable
/// takes a state under each state of its parents, and not whether the same cases do; data on the table cannot tell.
enum class Noise {
  kStated,       ///< chance lies in variables without parents alone; all others are functions of their parents
  kQuantile,     ///< one uniform number a variable, through the distribution function in the order of its states:
                 ///< what raises the distribution never lowers the state (monotone)
  kIndependent,  ///< for each state of the parents a draw of its own
};
/// "stated", "quantile", "independent".
std::string_view noise_name(Noise noise);
base::Result<Noise> parse_noise(std::string_view name);

/// The actual and the imagined world as one network: first all variables of `network` with their numbers, then
/// `copy[v]` for what could have been otherwise; copy[v] = v elsewhere.
struct Twin {
  Network network;
  std::vector<int> copy;
};

/// What      copies the interventions and those of their descendants that `targets` descend from; chance is shared
///           between the worlds as `noise` says.
/// Errors    kValue: an intervention given twice; kStated and the chance of a copied variable lies in its table (it is
///           named). kLimit: a table of the twin with more than `cells` cells.
/// Source    Balke and Pearl, Probabilistic evaluation of counterfactual queries, AAAI 1994.
base::Result<Twin> make_twin(const Network& network, const std::vector<int>& targets, const Assignments& interventions,
                             Noise noise, double cells = 1U << 27U);

/// Question  given that `query.evidence` was seen, what would the targets have been had `query.interventions` been
/// made? Formula   abduction of the noise from the evidence, action, prediction: the targets' copies in the twin
/// network,
///           given the evidence on the originals.
/// Errors    as ask and make_twin. kTooWide and kImpossible are outcomes.
/// Assumes   `noise`: two networks with the same tables may answer differently.
/// Source    Pearl, Causality, 2009, sec. 7.1.
base::Result<Answer> imagine(const Network& network, const Query& query, Noise noise, const ExactLimits& limits = {});

/// Distributions of the outcome in four worlds; the treatment goes from one state to another.
struct Mediation {
  bool direct_edge = false;      ///< the treatment is a parent of the outcome
  std::vector<double> before;    ///< P(Y | do(from))
  std::vector<double> after;     ///< P(Y | do(to))
  std::vector<double> direct;    ///< Y sees `to`, all between are as under `from`
  std::vector<double> indirect;  ///< Y sees `from`, all between are as under `to`
  /// By state of the outcome: total = after - before; natural direct = direct - before; natural indirect = indirect -
  /// before. total = natural direct(from, to) - natural indirect(to, from) = after - before.
  std::vector<double> total, natural_direct, natural_indirect;
};

/// Question  how much of the effect of `from` -> `to` goes straight, and how much by way of what lies between?
/// Formula   the outcome is evaluated once, with the edge treatment -> outcome fed another state than all other edges
///           out of the treatment. Holds for any coupling of noise.
/// Errors    kValue: treatment and outcome the same, the states the same, the outcome no descendant of the treatment;
///           kLimit: too wide.
/// Assumes   no hidden common cause: whatever acts on two variables is in the network.
/// Source    Pearl, Direct and indirect effects, UAI 2001.
base::Result<Mediation> mediate(const Network& network, int treatment, int from, int to, int outcome,
                                const ExactLimits& limits = {});

}  // namespace plumbline::counterfactual::causal
