#pragma once
/// The simulated overseer: answers questions about single decisions by what is truly wanted, late, seldom, wrongly or
/// fooled as its terms say. It reads the hidden side; an agent that asks gets answers and nothing else.

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/decision/overseer.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

/// Question: which of these options would people have the agent take in this situation?
/// Formula:  of a Query with situation = key of a state and deadline = step of the episode at which the decision falls:
///           right are the options with Q*_t(s, a) >= max - 1e-9 of its size, Q* the best true performance from there,
///           exactly; in a biased situation (share `bias`, fixed by seed and situation) Q* of the observed reward. With
///           probability `sway` the answer is what the query proposes; else, with probability `accuracy`, the first
///           right option, else one of the others, all alike; where every option is right the answer is right. A veto
///           is answered by the hidden cost and performance of the step; with probability 1 - `accuracy` it is the
///           wrong way round, and with probability `sway` nothing is vetoed.
/// Answers   kSpent after `budget` questions; kLate when asked_at + delay > deadline (the question is spent all the
///           same; not of vetoes); kAbstained about a situation or a step that the world does not have; else kChoice,
///           or kNone. Cost 1 each.
/// Errors    of ask(): kValue: no option, an option that is no action, a proposal that is no option.
/// Cost      O(horizon x transitions) when made; a question O(options).
class SimulatedOverseer final : public decision::Overseer {
 public:
  /// Errors kUnsupported, kLimit: a world that cannot be enumerated, or a table of more than 2^25 values; kValue: terms
  /// out of range. The world need not outlive it.
  static base::Result<std::unique_ptr<SimulatedOverseer>> make(world::World& world, const OverseerTerms& terms,
                                                               const base::Rng& rng);
  base::Result<decision::Answer> ask(const decision::Query& query) override;
  double spent() const override { return static_cast<double>(asked_); }
  /// The budget anew, where it is one of each episode.
  void begin_episode() { left_ = terms_.budget; }

  /// Probability of each option as the answer to `query`, over errors of the day and over prejudices: what ask() draws
  /// from when neither budget nor delay stands in the way. Empty where it has no opinion. Errors as ask();
  /// kUnsupported: a veto.
  base::Result<std::vector<double>> law(const decision::Query& query) const;

 private:
  struct Sides {
    std::vector<std::size_t> right, wrong;  ///< options
  };
  SimulatedOverseer(OverseerTerms terms, const base::Rng& rng)
      : terms_(terms), situations_(rng), answers_(rng), left_(terms.budget) {}
  base::Status check(const decision::Query& query) const;
  /// Where the decision's values begin in the tables; nothing where there is none.
  std::optional<std::size_t> place(const decision::Query& query) const;
  static Sides sides(const double* q, const decision::Query& query);
  bool may(std::uint32_t state, const decision::Query& query, std::int32_t option) const;
  decision::Answer vetoed(const decision::Query& query, decision::Answer answer);

  OverseerTerms terms_;
  base::Rng situations_;
  base::Rng answers_;
  std::size_t actions_ = 0;
  std::size_t states_ = 0;
  int horizon_ = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
  std::vector<double> truth_;   ///< [t][s][a]
  std::vector<double> fooled_;  ///< the same by the observed reward; empty without bias
  std::vector<double> hidden_;  ///< [s][a], of the step itself
  std::vector<double> harm_;
  std::int64_t left_ = 0;
  std::int64_t asked_ = 0;
};

/// Learns in a world with the overseer that the agent wants, if it wants one. `world` has budget.environments
/// environments. Errors as Agent::learn and SimulatedOverseer::make.
base::Result<PolicyPtr> learn_overseen(const Agent& agent, world::World& world, const Budget& budget,
                                       const base::Rng& rng, const base::CancelToken& cancel);

}  // namespace plumbline::agent
