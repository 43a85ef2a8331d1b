#pragma once
/// Questions to a network: P(targets | evidence) after interventions, exactly or by weighted samples.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/elimination.hpp"
#include "plumbline/counterfactual/causal/network.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual::causal {

struct Query {
  std::vector<int> targets;
  Assignments evidence;       ///< seen, after the interventions
  Assignments interventions;  ///< set: do(...)
};

enum class QueryOutcome {
  kAnswered,
  kImpossible,  ///< the evidence has probability zero: there is nothing to condition on
  kTooWide,     ///< exact inference would need more cells than allowed
  kTooRare,     ///< of samples: too few of them agree with the evidence
};
/// "answered", "impossible evidence", "too wide", "evidence too rare".
std::string_view outcome_name(QueryOutcome outcome);

struct Answer {
  QueryOutcome outcome = QueryOutcome::kAnswered;
  std::string reason;  ///< of every other outcome
  std::vector<int> targets;
  /// Joint probability, the last target fastest; empty unless answered.
  std::vector<double> probability;
  double log_evidence = 0;  ///< log P(evidence | do); of samples an estimate
  std::string method;
  EliminationOrder plan;                   ///< of the exact answer
  std::vector<stats::Estimate> estimates;  ///< of samples: one a cell, with bounds
};

/// The states of the targets for a cell of Answer::probability.
std::vector<int> cell_states(const Network& network, const std::vector<int>& targets, std::size_t cell);

/// Question  P(targets | evidence, do(interventions))?
/// Formula   the product of the tables of targets, evidence and their ancestors, those of set variables replaced,
/// summed
///           over everything else and divided by its sum over the targets: only the answer is normalised, rows that do
///           not sum to one are used as written.
/// Errors    kValue: no target, a target or an intervention given twice. kCancelled.
/// Outcome   kAnswered, kImpossible, kTooWide.
/// Cost      as eliminate. Deterministic.
/// Source    Pearl, Causality, 2009, sec. 3.2; Dechter 1996.
base::Result<Answer> ask(const Network& network, const Query& query, const ExactLimits& limits = {});

struct SampleOptions {
  std::size_t samples = 100'000;
  base::CancelToken cancel{};
};

/// The same from samples drawn in the order of causes, evidence held and weighed by its probability.
/// Formula   sum w 1{x} / sum w. Bounds: Clopper–Pearson at the effective number of samples p (1 - p) / variance of the
///           ratio (Korn and Graubard 1998), at most (sum w)^2 / sum w^2.
/// Errors    as ask; kValue: fewer than 1000 samples. kLimit: more than 4000 joint states of the targets.
/// Outcome   kAnswered; kTooRare: effective number below 100. Whether evidence is impossible, samples cannot say.
/// Assumes   rows that sum to one; others are rescaled where they are drawn from.
/// Cost      O(samples x variables). Same seed, same bits whatever the threads.
/// Source    Fung and Chang 1989; Shachter and Peot 1989.
base::Result<Answer> sample(const Network& network, const Query& query, const SampleOptions& options,
                            const base::Rng& rng);

/// Every variable's distribution from one set of weighted samples.
struct SampledMarginals {
  QueryOutcome outcome = QueryOutcome::kAnswered;
  std::string reason;                            ///< of every other outcome
  std::vector<std::vector<stats::Estimate>> of;  ///< by variable and state; empty unless answered
  double log_evidence = 0;                       ///< an estimate
  std::string method;
};
/// Question  P(v | evidence) for every variable v of a network that is too wide for exact sums?
/// Formula   as sample(), all variables counted in the same samples; bounds hold for each figure by itself.
/// Errors    kValue: fewer than 1000 samples. kCancelled.
/// Outcome   kAnswered; kTooRare.
/// Cost      O(samples x variables). Same seed, same bits whatever the threads.
base::Result<SampledMarginals> sample_marginals(const Network& network, const Assignments& evidence,
                                                const SampleOptions& options, const base::Rng& rng);

}  // namespace plumbline::counterfactual::causal
