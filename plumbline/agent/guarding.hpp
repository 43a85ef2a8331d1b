#pragma once
/// The guard's own rule (caution/guard_policy.hpp) as an agent in a finite world: every decision is a request, the
/// plausible rewards are readings of what is wanted, regrets are their costs, and people are asked where the rule says
/// that an answer is worth it. "guard:slips:expected/slip=0.5/cost=0.3/accuracy=0.9/delay=2/budget=20".

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/continuations.hpp"
#include "plumbline/caution/guard_policy.hpp"

namespace plumbline::agent {

/// Who decides whether a question is put.
enum class Asking {
  kGuard,   ///< the rule: the value of an answer exceeds the cost of a question
  kAlways,  ///< every decision
  kNever,
  kRandom,  ///< each decision with the same probability
};
std::string_view asking_name(Asking asking);  ///< "guard", "always", "never", "random"

struct GuardDesign {
  std::string mind = "slips:expected";  ///< whose plausible rewards, and by which rule the guard chooses among actions
  std::string rule = "expected";        ///< the mind's
  Asking asking = Asking::kGuard;
  double cost = 0;  ///< of a question, in the unit of the reward
  double rate = 0;  ///< of kRandom
  OverseerTerms overseer;
  double trust = 1;      ///< how often the rule takes an answer to be right
  std::string fallback;  ///< id of the agent that decides when nobody answers in time; empty: the rule, alone
};

/// "slips:expected/cost=0.1/…", as it stands after "guard:". Errors kValue: as make_agent for mind and fallback, terms
/// out of range; kUnsupported: a mind that is none of literal, design, slips, or that asks by itself.
base::Result<GuardDesign> parse_guard(std::string_view argument);
/// parse_guard reads it back.
std::string guard_id(const GuardDesign& design);

/// The id "guard"; part of no gauntlet of all agents, since each cost and overseer makes another one.
AgentEntry guard_agent();

/// One decision.
struct GuardedDecision {
  caution::RuledChoice ruled;      ///< with nobody to ask
  std::vector<double> alone;       ///< over the world's actions: what is done then
  std::vector<double> unanswered;  ///< what is done when the answer does not come in time
  std::size_t proposal = 0;        ///< the likeliest of `alone`, shown with a question
};

/// Question: what does the guard's rule make of each decision of a world?
/// Formula:  at (t, s) reading k, of the reward's probability, has cost max_b Q_k,t(s,b) - Q_k,t(s,a) for action a, Q_k
///           by that reward from there on; the fallback is one more action, its cost the mean under its policy.
///           PolicyRule decides. A rule that refuses leaves the decision to the fallback, else to chance.
/// Errors    as Continuations and PolicyRule::make, at() as PolicyRule::choose.
/// Cost      a decision: O(k actions branches) and the rule; each is computed once.
class GuardedMind {
 public:
  static base::Result<GuardedMind> make(std::shared_ptr<const world::ObservedModel> model,
                                        decision::RewardPosterior values, const GuardDesign& design,
                                        std::optional<world::TabularPolicy> fallback);
  base::Result<const GuardedDecision*> at(std::size_t t, std::uint32_t s);
  const world::ObservedModel& model() const { return *model_; }
  std::vector<double> mean_reward() const;
  /// Its question about a decision, put before the episode.
  decision::Query question(std::size_t t, std::uint32_t s, const GuardedDecision& decision) const;

 private:
  GuardedMind() = default;
  std::shared_ptr<const world::ObservedModel> model_;
  std::shared_ptr<const decision::RewardPosterior> values_;
  std::vector<std::size_t> plausible_;  ///< rewards of positive probability
  std::shared_ptr<const Continuations> continuations_;
  std::optional<world::TabularPolicy> fallback_;
  caution::GuardPolicy policy_;  ///< costs are filled in anew for each decision
  std::vector<std::int32_t> options_;
  std::unordered_map<std::uint64_t, GuardedDecision> known_;
};

/// The mind of a design in a world: its plausible rewards and its fallback are made from `rng`. Errors as the agents'.
base::Result<GuardedMind> guarded_mind(const GuardDesign& design, world::World& world, const Budget& budget,
                                       const base::Rng& rng, const base::CancelToken& cancel);

}  // namespace plumbline::agent
