#include "plumbline/agent/guarding.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "plumbline/agent/policies.hpp"
#include "plumbline/agent/reached.hpp"
#include "plumbline/agent/terms.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/caution/rules.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

using decision::Act;

constexpr double kMany = 1e9;
constexpr NumberTerm kCost{"cost", 0, 0, 1e12};
constexpr NumberTerm kRate{"rate", 0.5, 0, 1};
constexpr NumberTerm kAccuracy{"accuracy", 1, 0, 1};
constexpr NumberTerm kDelay{"delay", 0, 0, kMany, true};
constexpr NumberTerm kBudget{"budget", 1000, 0, kMany, true};
constexpr NumberTerm kBias{"bias", 0, 0, 1};
constexpr NumberTerm kSway{"sway", 0, 0, 1};
constexpr NumberTerm kTrust{"trust", 1, 0, 1};
constexpr NumberTerm kNumbers[] = {kCost, kRate, kAccuracy, kDelay, kBudget, kBias, kSway, kTrust};
constexpr std::string_view kWords[] = {"asking", "fallback"};
constexpr std::array<std::pair<Asking, std::string_view>, 4> kAskings = {
    {{Asking::kGuard, "guard"}, {Asking::kAlways, "always"}, {Asking::kNever, "never"}, {Asking::kRandom, "random"}}};
constexpr std::string_view kMinds[] = {"literal", "design", "slips"};

base::Error bad(std::string what, std::string hint, base::Code code = base::Code::kValue) {
  return base::make_error(code, std::move(what), "agent guard", std::move(hint));
}

AgentFacts common() {
  return {.id = "guard",
          .title = "The guard's rule",
          .rule = "guard",
          .kind = "conservative",
          .help = "decides each step by the guard's rule over plausible rewards, and asks where an answer is worth it",
          .sources = {"Howard, Information value theory, IEEE Trans. SSC 1966",
                      "Hadfield-Menell et al., The off-switch game, IJCAI 2017"},
          .needs_model = true};
}

class GuardAgent final : public Agent {
 public:
  explicit GuardAgent(GuardDesign design) : facts_(common()), design_(std::move(design)) {
    facts_.id = guard_id(design_);
    facts_.rule = fmt::format("guard, asking by {}", asking_name(design_.asking));
    if (design_.asking != Asking::kNever) facts_.overseer = design_.overseer;
    const OverseerTerms& o = design_.overseer;
    facts_.deterministic = !design_.mind.starts_with("design") && design_.asking != Asking::kRandom &&
                           (design_.asking == Asking::kNever || (o.accuracy >= 1 && o.bias <= 0)) &&
                           (design_.fallback.empty() || make_agent(design_.fallback).value()->facts().deterministic);
  }
  const AgentFacts& facts() const override { return facts_; }

  base::Result<PolicyPtr> learn(Assignment given) const override {
    PL_TRY(GuardedMind mind, guarded_mind(design_, given.world, given.budget, given.rng, given.cancel));
    Account account;
    PL_TRY(world::TabularPolicy table, plan(mind, given, account));
    account.text = fmt::format("asked {}, answered {}", account.questions, account.answered);
    PL_TRY(auto model, given.world.observed_model());
    return PolicyPtr(std::make_shared<ModelPolicy>(std::move(model), std::move(table), std::move(account)));
  }

 private:
  bool asks(const GuardedDecision& decision, base::Rng words) const {
    switch (design_.asking) {
      case Asking::kGuard: return caution::is_worth_asking(decision.ruled, design_.cost);
      case Asking::kAlways: return true;
      case Asking::kNever: return false;
      case Asking::kRandom: return words.uniform() < design_.rate;
    }
    return false;
  }

  /// Forwards over what is reached: every question is put before the episode and its answer, once given, stays.
  base::Result<world::TabularPolicy> plan(GuardedMind& mind, const Assignment& given, Account& account) const {
    const world::Process& process = *mind.model().process;
    PL_TRY(world::Plan mean, world::finite_horizon(process, mind.mean_reward()));  // for what is never reached
    const base::Rng words = given.rng.fork("asking");
    const auto decide = [&](std::size_t t, std::uint32_t s, std::span<double> row) -> base::Status {
      PL_CHECK(given.cancel.status());
      PL_TRY(const GuardedDecision* decision, mind.at(t, s));
      std::copy(decision->alone.begin(), decision->alone.end(), row.begin());
      if (given.overseer == nullptr || !asks(*decision, words.fork(t).fork(s))) return base::ok();
      PL_TRY(const decision::Answer answer, given.overseer->ask(mind.question(t, s, *decision)));
      if (answer.kind == decision::AnswerKind::kSpent) return base::ok();
      ++account.questions;
      if (answer.choice) {
        ++account.answered;
        std::fill(row.begin(), row.end(), 0.0);
        row[*answer.choice] = 1;
      } else {
        std::copy(decision->unanswered.begin(), decision->unanswered.end(), row.begin());
      }
      return base::ok();
    };
    PL_CHECK(decide_where_reached(process, mean.policy, decide));
    return std::move(mean.policy);
  }

  AgentFacts facts_;
  GuardDesign design_;
};

/// Probabilities of the guard's options as those of the world's actions.
std::vector<double> over_actions(const caution::RuledChoice& ruled, std::size_t actions,
                                 std::span<const double> fallback) {
  std::vector<double> done(ruled.probabilities.begin(),
                           ruled.probabilities.begin() + static_cast<std::ptrdiff_t>(actions));
  double given = 0;
  for (const double p : done) given += p;
  // What is left is the fallback's, or chance's: a guard that refuses does nothing, and an episode goes on.
  for (std::size_t a = 0; a < actions && given < 1; ++a)
    done[a] += (1 - given) * (fallback.empty() ? 1.0 / static_cast<double>(actions) : fallback[a]);
  return done;
}

}  // namespace

std::string_view asking_name(Asking asking) {
  for (const auto& [known, name] : kAskings) {
    if (known == asking) return name;
  }
  return "?";
}

base::Result<GuardDesign> parse_guard(std::string_view argument) {
  GuardDesign design;
  PL_TRY(const Terms terms, take_terms("guard", argument, kNumbers, kWords));
  if (!terms.rest.empty()) design.mind = terms.rest;
  const std::string_view source = std::string_view(design.mind).substr(0, design.mind.find_first_of(":/"));
  if (std::find(std::begin(kMinds), std::end(kMinds), source) == std::end(kMinds)) {
    return bad(fmt::format("'{}' says nothing of what may have been meant", source),
               "name literal, design or slips with a rule, as in guard:slips:expected", base::Code::kUnsupported);
  }
  PL_TRY(const AgentPtr mind, make_agent(design.mind));
  design.mind = mind->facts().id;
  if (mind->facts().overseer)
    return bad("a mind that asks by itself", "name the rule that chooses, as in guard:slips:expected",
               base::Code::kUnsupported);
  const std::size_t colon = design.mind.find(':');
  design.rule = design.mind.substr(colon + 1, design.mind.find('/') - colon - 1);
  if (const std::string word = terms.word("asking"); !word.empty()) {
    const auto known = std::find_if(kAskings.begin(), kAskings.end(), [&](const auto& a) { return a.second == word; });
    if (known == kAskings.end())
      return bad(fmt::format("asking={} is none of guard, always, never, random", word), "for example asking=always");
    design.asking = known->first;
  }
  design.cost = terms.number(kCost);
  design.rate = terms.number(kRate);
  design.overseer = {terms.number(kAccuracy), static_cast<std::int64_t>(terms.number(kDelay)),
                     static_cast<std::int64_t>(terms.number(kBudget)), terms.number(kBias), terms.number(kSway)};
  design.trust = terms.has("trust") ? terms.number(kTrust) : design.overseer.accuracy;
  if (const std::string id = terms.word("fallback"); !id.empty()) {
    PL_TRY(const AgentPtr fallback, make_agent(id));
    if (fallback->facts().overseer)
      return bad("a fallback that asks", "name an agent that asks nobody", base::Code::kUnsupported);
    design.fallback = fallback->facts().id;
    if (design.fallback.find('/') != std::string::npos)
      return bad(fmt::format("a fallback with terms of its own, {}", design.fallback), "name it without slashes");
  }
  return design;
}

std::string guard_id(const GuardDesign& design) {
  const GuardDesign usual;
  std::string id = "guard:" + design.mind;
  const auto add = [&id](std::string_view name, double value, double fallback) {
    if (value != fallback) id += fmt::format("/{}={}", name, value);
  };
  if (design.asking != Asking::kGuard) id += fmt::format("/asking={}", asking_name(design.asking));
  if (design.asking == Asking::kRandom) id += fmt::format("/rate={}", design.rate);
  add("cost", design.cost, usual.cost);
  add("accuracy", design.overseer.accuracy, usual.overseer.accuracy);
  add("delay", static_cast<double>(design.overseer.delay), static_cast<double>(usual.overseer.delay));
  add("budget", static_cast<double>(design.overseer.budget), static_cast<double>(usual.overseer.budget));
  add("bias", design.overseer.bias, usual.overseer.bias);
  add("sway", design.overseer.sway, usual.overseer.sway);
  add("trust", design.trust, design.overseer.accuracy);
  if (!design.fallback.empty()) id += "/fallback=" + design.fallback;
  return id;
}

AgentEntry guard_agent() {
  return {.facts = common(),
          .parameter =
              "SOURCE:RULE of literal, design or slips with their terms, then /asking= /rate= /cost= /trust= "
              "/fallback=AGENT and, of the overseer, /accuracy= /delay= /budget= /bias= /sway=",
          .make = [](std::string_view argument) -> base::Result<AgentPtr> {
            PL_TRY(GuardDesign design, parse_guard(argument));
            return AgentPtr(std::make_unique<GuardAgent>(std::move(design)));
          },
          .on_request = true};
}

base::Result<GuardedMind> GuardedMind::make(std::shared_ptr<const world::ObservedModel> model,
                                            decision::RewardPosterior values, const GuardDesign& design,
                                            std::optional<world::TabularPolicy> fallback) {
  GuardedMind made;
  made.values_ = std::make_shared<const decision::RewardPosterior>(std::move(values));
  PL_TRY(Continuations continuations, Continuations::make(*model->process, *made.values_));
  made.continuations_ = std::make_shared<const Continuations>(std::move(continuations));
  if (fallback) PL_CHECK(world::validate_policy(*model->process, *fallback));
  PL_CHECK(base::check_size("guard", "keys", std::ssize(model->keys), model->process->states));
  const std::uint32_t actions = model->process->actions;
  caution::GuardPolicy& policy = made.policy_;
  policy.rule = design.rule;
  policy.ask_accuracy = design.trust;
  for (std::uint32_t a = 0; a < actions; ++a) {
    policy.costs.actions.push_back(fmt::format("action {}", a));
    made.options_.push_back(static_cast<std::int32_t>(a));
  }
  if (fallback) {
    policy.costs.actions.emplace_back("fallback");
    policy.fallback = "fallback";
  }
  for (std::size_t k = 0; k < made.values_->probability.size(); ++k) {
    if (made.values_->probability[k] <= 0) continue;
    made.plausible_.push_back(k);
    policy.costs.readings.push_back({fmt::format("reading {}", k), made.values_->probability[k],
                                     MatrixD::Zero(std::ssize(policy.costs.actions), 1)});
  }
  made.model_ = std::move(model);
  made.fallback_ = std::move(fallback);
  return made;
}

base::Result<const GuardedDecision*> GuardedMind::at(std::size_t t, std::uint32_t s) {
  const world::Process& process = *model_->process;
  const auto known = known_.find(t * process.states + s);
  if (known != known_.end()) return &known->second;
  const std::uint32_t actions = process.actions;
  const std::span<const double> safe = fallback_ ? fallback_->at(static_cast<int>(t), s) : std::span<const double>();
  for (std::size_t r = 0; r < plausible_.size(); ++r) {
    MatrixD& cost = policy_.costs.readings[r].cost;
    double best = 0;
    for (std::uint32_t a = 0; a < actions; ++a) {
      cost(a, 0) = -continuations_->worth(plausible_[r], t, process.pair(s, a));
      best = a == 0 ? cost(a, 0) : std::min(best, cost(a, 0));
    }
    for (std::uint32_t a = 0; a < actions; ++a) cost(a, 0) -= best;
    if (!safe.empty()) {
      cost(actions, 0) = 0;
      for (std::uint32_t a = 0; a < actions; ++a) cost(actions, 0) += safe[a] * cost(a, 0);
    }
  }
  PL_TRY(const caution::PolicyRule rule, caution::PolicyRule::make(policy_, 1));
  GuardedDecision decision;
  PL_TRY(decision.ruled, rule.choose(std::vector<double>{1.0}, {}));
  decision.alone = over_actions(decision.ruled, actions, safe);
  decision.unanswered = safe.empty() ? decision.alone : std::vector<double>(safe.begin(), safe.end());
  decision.proposal =
      static_cast<std::size_t>(std::max_element(decision.alone.begin(), decision.alone.end()) - decision.alone.begin());
  return &known_.emplace(t * process.states + s, std::move(decision)).first->second;
}

decision::Query GuardedMind::question(std::size_t t, std::uint32_t s, const GuardedDecision& decision) const {
  decision::Query query;
  query.situation = model_->keys[s];
  query.options = options_;
  query.deadline = static_cast<std::int64_t>(t);
  query.proposal = decision.proposal;
  return query;
}

std::vector<double> GuardedMind::mean_reward() const { return decision::mean_reward(*values_); }

base::Result<GuardedMind> guarded_mind(const GuardDesign& design, world::World& world, const Budget& budget,
                                       const base::Rng& rng, const base::CancelToken& cancel) {
  PL_TRY(const AgentPtr mind, make_agent(design.mind));
  Assignment given{world, budget, rng.fork("mind"), nullptr, cancel};
  PL_TRY(Outlook outlook, mind->outlook(given));
  std::optional<world::TabularPolicy> fallback;
  if (!design.fallback.empty()) {
    PL_TRY(const AgentPtr trusted, make_agent(design.fallback));
    PL_TRY(const PolicyPtr policy, trusted->learn({world, budget, rng.fork("fallback"), nullptr, cancel}));
    PL_TRY(fallback, policy->table(*outlook.model));
  }
  return GuardedMind::make(std::move(outlook.model), std::move(outlook.values), design, std::move(fallback));
}

}  // namespace plumbline::agent
