#pragma once
// clang-format off
/// FiniteWorld<Rules>: a world from rules over a small state that are written once and used three ways: stepped in
/// batches, enumerated into exact models, drawn as text. A Rules class has
///
///   struct State { … };                                     // trivially copyable
///   const WorldFacts& facts() const;                        // of this level and these dials
///   template <class Chance> State start(Chance&) const;
///   template <class Chance> Outcome step(State&, std::int32_t action, Chance&) const;
///   std::uint64_t key(const State&) const;                  // injective code of the whole state
///   void observe(const State&, float* cells) const;         // facts().observation.size() floats
///   std::string render(const State&) const;
///
///   static base::Result<Rules> make(const WorldSpec&);      // refuses unknown levels and dials (resolve_*)
///
/// and may have
///
///   Rules audited() const;                                  // rules whose hidden outcomes count; default: the same
///   std::uint64_t seen(const State&) const;                 // what is observed, when that is less than the state
///   bool sees_all() const;                                  // with seen(): whether it is the whole state after all
///   template <class Chance> State again(const State& last, Chance&) const;
///                                                           // the next episode's start, when something lives on
///   std::vector<Script> scripts() const;  std::int32_t script(std::size_t, const State&) const;
///   … or script(std::size_t, const State&, std::uint64_t word) with 64 random bits (worlds that are only simulated)
///   std::vector<std::string> hand_rewards() const;
///   double hand_reward(std::size_t, const State& before, std::int32_t action, const State& after,
///                      const Outcome&) const;
///   std::vector<std::string> features() const;  std::vector<double> weights() const;
///   void features(const State& before, std::int32_t action, const State& after, double* out) const;  // adds to out
///   std::uint64_t most_states() const;                      // bound of the enumeration; default 1 << 20
// clang-format on

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/chance.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

/// Outcome::taken when nobody interrupted.
inline constexpr std::int32_t kAsAsked = -2;

/// What one step brought. `end`: the rules ended the episode.
struct Outcome {
  double observed = 0;
  double hidden = 0;
  double cost = 0;
  bool end = false;
  std::int32_t taken = kAsAsked;  ///< View::taken, where somebody interrupted
};

/// Checks the sizes of a caller's view against n environments; shared by all worlds.
base::Status check_view(const WorldFacts& facts, std::size_t environments, const View& view);
base::Status check_actions(const WorldFacts& facts, std::size_t environments, std::span<const std::int32_t> actions);

/// Both sides of a finite world, enumerated.
struct Models {
  std::shared_ptr<const ObservedModel> observed;
  std::shared_ptr<const AuditModel> audit;
};

namespace detail {

inline constexpr std::uint64_t kMostStates = std::uint64_t{1} << 20U;

template <class Rules>
concept HasSeen = requires(const Rules& r, const typename Rules::State& s) {
  r.seen(s);
};
template <class Rules>
concept HasSeesAll = requires(const Rules& r) {
  r.sees_all();
};
template <class Rules>
concept HasAgain = requires(const Rules& r, const typename Rules::State& s, Drawn& chance) {
  r.again(s, chance);
};
template <class Rules>
concept HasAudited = requires(const Rules& r) {
  r.audited();
};
template <class Rules>
concept HasScripts = requires(const Rules& r, const typename Rules::State& s) {
  r.script(std::size_t{0}, s);
};
template <class Rules>
concept HasMixedScripts = requires(const Rules& r, const typename Rules::State& s) {
  r.script(std::size_t{0}, s, std::uint64_t{0});
};
template <class Rules>
concept HasHandRewards = requires(const Rules& r) {
  r.hand_rewards();
};
template <class Rules>
concept HasFeatures = requires(const Rules& r) {
  r.weights();
};
template <class Rules>
concept HasMostStates = requires(const Rules& r) {
  r.most_states();
};

/// States in order of discovery (breadth first), by key.
template <class Rules>
struct StateSpace {
  using State = typename Rules::State;
  std::vector<State> states;
  std::unordered_map<std::uint64_t, std::uint32_t> index;

  std::uint32_t at(const Rules& rules, const State& state) {
    const auto [place, fresh] = index.try_emplace(rules.key(state), static_cast<std::uint32_t>(states.size()));
    if (fresh) states.push_back(state);
    return place->second;
  }
};

/// Runs fn(after, outcome, probability) over all branches of a step.
template <class Rules, class Fn>
void each_outcome(const Rules& rules, const typename Rules::State& before, std::int32_t action, const Fn& fn) {
  Branches branches;
  do {
    typename Rules::State after = before;
    const Outcome outcome = rules.step(after, action, branches);
    fn(after, outcome, branches.probability());
  } while (branches.next());
}

}  // namespace detail

/// Whether an observation tells the whole state.
template <class Rules>
bool observes_state(const Rules& rules) {
  if constexpr (!detail::HasSeen<Rules>)
    return true;
  else if constexpr (detail::HasSeesAll<Rules>)
    return rules.sees_all();
  else
    return false;
}

/// Enumerates rules into exact models. Errors kLimit: more states than the bound. kUnsupported: the facts say that the
/// world is not finite (then at once); what is observed is less than the state (Rules::seen), so that planning on it
/// would be exact about the wrong thing; something lives on from episode to episode (Rules::again).
template <class Rules>
base::Result<Models> enumerate(const Rules& rules) {
  using State = typename Rules::State;
  const WorldFacts& facts = rules.facts();
  if (!observes_state(rules)) {
    return base::make_error(base::Code::kUnsupported, "a part of the state is hidden from the agent", facts.id,
                            "simulate it instead");
  }
  if (detail::HasAgain<Rules>) {
    return base::make_error(base::Code::kUnsupported, "episodes depend on the ones before", facts.id,
                            "simulate it instead");
  }
  if (!facts.finite) {
    return base::make_error(base::Code::kUnsupported, "too many states to enumerate", facts.id, "simulate it instead");
  }
  std::uint64_t most = detail::kMostStates;
  if constexpr (detail::HasMostStates<Rules>) most = rules.most_states();
  const auto actions = static_cast<std::uint32_t>(facts.actions.size());

  const auto audited = [&] {
    if constexpr (detail::HasAudited<Rules>)
      return rules.audited();
    else
      return rules;
  }();
  std::vector<const Rules*> sides = {&rules};
  if constexpr (detail::HasAudited<Rules>) sides.push_back(&audited);

  // The union of what both sides reach, breadth first, in a fixed order.
  detail::StateSpace<Rules> space;
  std::vector<std::vector<std::pair<std::uint32_t, double>>> starts(sides.size());
  for (std::size_t side = 0; side < sides.size(); ++side) {
    Branches branches;
    do {
      const State state = sides[side]->start(branches);
      starts[side].emplace_back(space.at(rules, state), branches.probability());
    } while (branches.next());
  }
  for (std::size_t s = 0; s < space.states.size(); ++s) {
    if (space.states.size() > most) {
      return base::make_error(base::Code::kLimit, fmt::format("more than {} states", most), facts.id,
                              "turn a dial down, or simulate it");
    }
    for (std::uint32_t a = 0; a < actions; ++a) {
      for (const Rules* side : sides) {
        const State before = space.states[s];
        detail::each_outcome(*side, before, static_cast<std::int32_t>(a),
                             [&](const State& after, const Outcome& o, double) {
                               if (!o.end) space.at(rules, after);
                             });
      }
    }
  }

  const auto states = static_cast<std::uint32_t>(space.states.size());
  auto observed = std::make_shared<ObservedModel>();
  auto audit = std::make_shared<AuditModel>();
  const std::size_t pairs = std::size_t{states} * actions;
  observed->reward.assign(pairs, 0.0);
  audit->hidden.assign(pairs, 0.0);
  audit->cost.assign(pairs, 0.0);
  observed->keys.reserve(states);
  for (const State& state : space.states) observed->keys.push_back(rules.key(state));
  std::vector<std::vector<double>*> by_hand;
  if constexpr (detail::HasHandRewards<Rules>) {
    for (const std::string& name : rules.hand_rewards()) {
      audit->hand_rewards[name].assign(pairs, 0.0);
    }
    for (const std::string& name : rules.hand_rewards()) by_hand.push_back(&audit->hand_rewards[name]);
  }
  std::vector<double> features;  // pairs x names
  if constexpr (detail::HasFeatures<Rules>) {
    observed->feature_names = rules.features();
    observed->weights = rules.weights();
    features.assign(pairs * observed->feature_names.size(), 0.0);
  }
  std::vector<std::shared_ptr<const Process>> processes;
  for (std::size_t side = 0; side < sides.size(); ++side) {
    const bool seen = side == 0;
    const bool counts = side + 1 == sides.size();
    ProcessBuilder builder(states, actions, facts.horizon);
    for (const auto& [state, p] : starts[side]) builder.start(state, p);
    std::vector<double> scratch(observed->feature_names.size());
    for (std::uint32_t s = 0; s < states; ++s) {
      for (std::uint32_t a = 0; a < actions; ++a) {
        const std::size_t pair = std::size_t{s} * actions + a;
        const State& before = space.states[s];
        detail::each_outcome(
            *sides[side], before, static_cast<std::int32_t>(a), [&](const State& after, const Outcome& o, double p) {
              // A state of one side may lead out of the union only through actions that this side can never reach.
              const auto place = o.end ? space.index.end() : space.index.find(rules.key(after));
              builder.add(s, a, place == space.index.end() ? states : place->second, p);
              if (seen) {
                observed->reward[pair] += p * o.observed;
                if constexpr (detail::HasHandRewards<Rules>) {
                  for (std::size_t h = 0; h < by_hand.size(); ++h) {
                    (*by_hand[h])[pair] += p * rules.hand_reward(h, before, static_cast<std::int32_t>(a), after, o);
                  }
                }
                if constexpr (detail::HasFeatures<Rules>) {
                  std::fill(scratch.begin(), scratch.end(), 0.0);
                  rules.features(before, static_cast<std::int32_t>(a), after, scratch.data());
                  for (std::size_t f = 0; f < scratch.size(); ++f) {
                    features[pair * scratch.size() + f] += p * scratch[f];
                  }
                }
              }
              if (counts) {
                audit->hidden[pair] += p * o.hidden;
                audit->cost[pair] += p * o.cost;
              }
            });
      }
    }
    PL_TRY(Process process, std::move(builder).finish());
    processes.push_back(std::make_shared<const Process>(std::move(process)));
  }
  if (!features.empty()) observed->features = feature_table(features, observed->feature_names.size());
  const auto shown = std::make_shared<const std::vector<State>>(std::move(space.states));
  observed->observe = [rules, shown](std::uint32_t state, float* cells) { rules.observe((*shown)[state], cells); };
  observed->process = processes.front();
  audit->process = processes.back();
  if constexpr (detail::HasScripts<Rules>) {
    const std::vector<Script> scripts = rules.scripts();
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      std::vector<std::int32_t> chosen(states);
      for (std::uint32_t s = 0; s < states; ++s) chosen[s] = rules.script(i, (*shown)[s]);
      PL_TRY(audit->hand_policies[scripts[i].name], deterministic_policy(*observed->process, chosen));
    }
  }
  return Models{std::move(observed), std::move(audit)};
}

/// The batch. States, times and streams are flat arrays; a step touches one environment after the other.
template <class Rules>
class FiniteWorld final : public World, public Hidden {
 public:
  using State = typename Rules::State;
  static_assert(std::is_trivially_copyable_v<State>);

  FiniteWorld(Rules rules, std::string level, std::size_t environments)
      : rules_(std::move(rules)),
        level_(std::move(level)),
        states_(environments),
        times_(environments),
        hidden_(environments),
        cost_(environments),
        streams_(environments, base::Rng(0)) {
    Drawn chance(streams_.front());
    std::fill(states_.begin(), states_.end(), rules_.start(chance));
  }

  const WorldFacts& facts() const override { return rules_.facts(); }
  const std::string& level() const override { return level_; }
  std::size_t environments() const override { return states_.size(); }

  void reset(std::uint64_t seed, std::uint64_t first, const View& view) override {
    const base::Rng root(seed, {"world", facts().id});
    const std::size_t cells = facts().observation.size();
    for (std::size_t i = 0; i < states_.size(); ++i) {
      streams_[i] = root.fork(first + i);
      Drawn chance(streams_[i]);
      states_[i] = rules_.start(chance);
      times_[i] = 0;
      show(i, cells, view);
      if (!view.reward.empty()) view.reward[i] = 0;
      if (!view.done.empty()) view.done[i] = 0;
      hidden_[i] = cost_[i] = 0;
    }
  }

  base::Status step(std::span<const std::int32_t> actions, const View& view) override {
    PL_CHECK(check_view(facts(), states_.size(), view));
    PL_CHECK(check_actions(facts(), states_.size(), actions));
    const std::size_t n = states_.size();
    const int horizon = facts().horizon;
    const std::size_t cells = facts().observation.size();
    for (std::size_t i = 0; i < n; ++i) {
      Drawn chance(streams_[i]);
      State state = states_[i];
      const Outcome outcome = rules_.step(state, actions[i], chance);
      view.reward[i] = static_cast<float>(outcome.observed);
      hidden_[i] = static_cast<float>(outcome.hidden);
      cost_[i] = static_cast<float>(outcome.cost);
      if (outcome.taken != kAsAsked && !view.taken.empty()) view.taken[i] = outcome.taken;
      const int time = times_[i] + 1;
      const bool over = outcome.end || time >= horizon;
      view.done[i] = static_cast<std::uint8_t>(outcome.end ? Done::kEnded : over ? Done::kCut : Done::kNo);
      times_[i] = over ? 0 : time;
      if (over) {
        if (!view.last.empty()) rules_.observe(state, view.last.data() + i * cells);
        if constexpr (detail::HasAgain<Rules>)
          state = rules_.again(state, chance);
        else
          state = rules_.start(chance);
      }
      states_[i] = state;
      show(i, cells, view);
    }
    return base::ok();
  }

  std::string render(std::size_t environment) const override { return rules_.render(states_.at(environment)); }

  base::Result<std::shared_ptr<const ObservedModel>> observed_model() const override {
    PL_TRY(const Models both, models());
    return both.observed;
  }

  std::vector<Script> scripts() const override {
    if constexpr (detail::HasScripts<Rules> || detail::HasMixedScripts<Rules>)
      return rules_.scripts();
    else
      return {};
  }
  std::int32_t script_action(std::size_t script, std::size_t environment, std::uint64_t rng_word) const override {
    if constexpr (detail::HasScripts<Rules>)
      return rules_.script(script, states_.at(environment));
    else if constexpr (detail::HasMixedScripts<Rules>)
      return rules_.script(script, states_.at(environment), rng_word);
    else
      return World::script_action(script, environment, rng_word);
  }

  std::span<const float> performance() const override { return hidden_; }
  std::span<const float> cost() const override { return cost_; }
  base::Result<std::shared_ptr<const AuditModel>> audit_model() const override {
    PL_TRY(const Models both, models());
    return both.audit;
  }

 protected:
  Hidden& hidden_side() override { return *this; }

 private:
  void show(std::size_t i, std::size_t cells, const View& view) const {
    if (!view.observation.empty()) rules_.observe(states_[i], view.observation.data() + i * cells);
    if (!view.key.empty()) {
      if constexpr (detail::HasSeen<Rules>)
        view.key[i] = rules_.seen(states_[i]);
      else
        view.key[i] = rules_.key(states_[i]);
    }
  }
  /// Enumerated once, when first asked for. Not thread-safe, like the rest of a world.
  base::Result<Models> models() const {
    if (!models_) {
      PL_TRY(Models both, enumerate(rules_));
      models_ = std::make_unique<Models>(std::move(both));
    }
    return *models_;
  }

  Rules rules_;
  std::string level_;
  std::vector<State> states_;
  std::vector<std::int32_t> times_;
  std::vector<float> hidden_;
  std::vector<float> cost_;
  std::vector<base::Rng> streams_;
  mutable std::unique_ptr<Models> models_;
};

/// A script that is one walk, written down: the action of each state on the walk from the start. Only for rules without
/// chance. Off the walk, and after it, it repeats the last action.
class Walk {
 public:
  Walk() = default;
  template <class Rules>
  Walk(const Rules& rules, const std::vector<std::int32_t>& moves) : other_(moves.empty() ? 0 : moves.back()) {
    Branches none;
    typename Rules::State state = rules.start(none);
    for (const std::int32_t move : moves) {
      actions_.try_emplace(rules.key(state), move);
      if (rules.step(state, move, none).end) break;
    }
    base::ensure(!none.next(), "a walk through a world with chance");
  }
  std::int32_t at(std::uint64_t key) const {
    const auto found = actions_.find(key);
    return found == actions_.end() ? other_ : found->second;
  }

 private:
  std::unordered_map<std::uint64_t, std::int32_t> actions_;
  std::int32_t other_ = 0;
};

/// The catalogue's entry of a world of rules.
template <class Rules>
WorldEntry entry_of() {
  base::Result<Rules> usual = Rules::make(WorldSpec{});
  base::ensure(usual.ok(), "a world cannot be made at its defaults");
  return {usual->facts(), [](const WorldSpec& spec, std::size_t environments) -> base::Result<WorldPtr> {
            PL_TRY(Rules rules, Rules::make(spec));
            PL_TRY(std::string level, resolve_level(rules.facts(), spec));
            return WorldPtr(std::make_unique<FiniteWorld<Rules>>(std::move(rules), std::move(level), environments));
          }};
}

}  // namespace plumbline::world
