#pragma once
/// Agent: something that is put into a world, plans or learns from what is observed, and returns a policy. Agents see
/// worlds through world.hpp alone; nothing hidden can be named from here.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/decision/overseer.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

/// What a policy decides from: the present observation, key (0 in worlds without keys) and step of the episode.
struct Sight {
  std::span<const float> observation;
  std::uint64_t key = 0;
  std::int32_t time = 0;
};

/// What an agent has to say about its policy, beside the policy.
struct Account {
  std::string text;            ///< a sentence with the figures; empty: nothing to say
  double cost_factor = 0;      ///< any additive cost is at most this many times the base policy's; 0: no such promise
  std::int64_t questions = 0;  ///< asked of the overseer
  std::int64_t answered = 0;   ///< of those, with an option to take, in time
};

/// What Policy::act returns when it cannot say.
inline constexpr std::int32_t kNoAction = -1;

/// Behaviour after learning. Pure: all chance comes from the word that it is handed.
class Policy {
 public:
  virtual ~Policy() = default;
  /// An action in 0 .. actions - 1; `word` are 64 uniform bits. kNoAction when it failed: then status() says why.
  virtual std::int32_t act(const Sight& sight, std::uint64_t word) const = 0;
  /// Not ok once act() has failed; from then on it stays so.
  virtual base::Status status() const { return base::ok(); }
  /// True where it may remember what it met in an episode: it plays one environment at a time, from the first step on.
  virtual bool sequential() const { return false; }
  /// The same behaviour as a table over the states of a model, for exact evaluation. Default: kUnsupported.
  virtual base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const;
  virtual Account account() const { return {}; }
};
using PolicyPtr = std::shared_ptr<const Policy>;

/// What learning may cost.
struct Budget {
  std::int64_t steps = 200'000;  ///< of all environments together; planners do not count
  std::size_t environments = 16;
};

/// What a simulated overseer is like. Its answers are all that an agent learns of what is truly wanted.
struct OverseerTerms {
  double accuracy = 1;         ///< probability of a right answer, drawn anew with each question
  std::int64_t delay = 0;      ///< steps until the answer is there
  std::int64_t budget = 1000;  ///< questions that are answered
  double bias = 0;  ///< share of the situations that it judges by the reward, as a fooled person would, always
  double sway =
      0;  ///< probability that it answers with what is proposed to it, whatever that is; 1: approves everything
};

/// What an agent is given. `world` has budget.environments environments and is reset by the agent.
struct Assignment {
  world::World& world;
  Budget budget;
  base::Rng rng;                           ///< a stream of its own
  decision::Overseer* overseer = nullptr;  ///< somebody to ask; null: nobody
  base::CancelToken cancel{};
};

struct AgentFacts {
  std::string id;  ///< "q_learning", "lookahead:3"
  std::string title;
  std::string rule;  ///< learning rule or planner in a word: agents with the same word are one approach
  std::string kind;  ///< "baseline", "planner", "learner", "conservative"
  std::string help;
  std::vector<std::string> sources;
  bool needs_model = false;                    ///< only in worlds that can be enumerated
  bool needs_keys = false;                     ///< only in worlds with keys
  bool deterministic = false;                  ///< the same policy whatever the seed: one run is enough
  std::optional<OverseerTerms> overseer = {};  ///< it wants somebody like this to ask
  /// In a process of its own: meets one environment at a time (outside.hpp) and is never trained on what is hidden.
  bool outside = false;
  std::string stream = {};  ///< names its random streams; empty: the id
};

/// What a planner goes by: how the world runs, and what is worth how much. Its third part, the rule, is the agent.
struct Outlook {
  std::shared_ptr<const world::ObservedModel> model;  ///< beliefs: the process, with the keys of its states
  decision::RewardPosterior values;                   ///< over the pairs of that process
};

class Agent {
 public:
  virtual ~Agent() = default;
  virtual const AgentFacts& facts() const = 0;
  /// Errors kUnsupported: not in this world, with the reason; kCancelled; kValue.
  virtual base::Result<PolicyPtr> learn(Assignment assignment) const = 0;
  /// Planners: what it would go by here. Errors kUnsupported: it learns by trying; as learn().
  virtual base::Result<Outlook> outlook(Assignment& given) const;
  /// Planners: what it does by this outlook, its own or another; learn() is plan(outlook()). Errors as outlook().
  virtual base::Result<PolicyPtr> plan(const Outlook& outlook, Assignment& given) const;
};
using AgentPtr = std::unique_ptr<Agent>;

/// The explicit list. An id may carry more after a colon, "lookahead:3", "slips:cvar:0.1/slip=0.3".
struct AgentEntry {
  AgentFacts facts;
  std::string parameter;  ///< what may follow the colon; empty: nothing
  std::function<base::Result<AgentPtr>(std::string_view argument)> make;
  std::vector<std::string> usual = {};  ///< ids that a gauntlet of all agents runs; empty: facts.id alone
  bool on_request = false;  ///< run where it is named, and no part of a gauntlet of all agents or of its stamped table
  /// `usual`, or the id; none on request.
  std::vector<std::string> ids() const {
    if (on_request) return {};
    return usual.empty() ? std::vector<std::string>{facts.id} : usual;
  }
};
const std::vector<AgentEntry>& agents();
/// Errors kValue: unknown id (with the nearest known ones), a bad number. kUnsupported: an id from outside, since
/// making an agent from data must not run code: outside.hpp opens it.
base::Result<AgentPtr> make_agent(std::string_view id);

/// Index of the action that 64 uniform bits draw from a distribution.
std::int32_t draw(std::span<const double> probability, std::uint64_t word);

}  // namespace plumbline::agent
