#include "plumbline/agent/overseer.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/hidden.hpp"

namespace plumbline::agent {
namespace {

constexpr std::string_view kFunction = "overseer";
constexpr std::size_t kMostValues = std::size_t{1} << 25U;

/// Q*_t(s, a) for every step, state and action.
std::vector<double> best_continuations(const world::Process& process, const std::vector<double>& reward) {
  std::vector<double> q(static_cast<std::size_t>(process.horizon) * process.pairs());
  std::vector<double> later(process.states + 1, 0.0);
  for (auto t = static_cast<std::size_t>(process.horizon); t-- > 0;) {
    double* row = q.data() + t * process.pairs();
    for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
      double sum = reward[pair];
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
        sum += process.probability[i] * later[process.next[i]];
      }
      row[pair] = sum;
    }
    for (std::uint32_t s = 0; s < process.states; ++s) {
      later[s] = *std::max_element(row + process.pair(s, 0), row + process.pair(s, 0) + process.actions);
    }
  }
  return q;
}

}  // namespace

base::Result<std::unique_ptr<SimulatedOverseer>> SimulatedOverseer::make(world::World& world,
                                                                         const OverseerTerms& terms,
                                                                         const base::Rng& rng) {
  PL_CHECK(base::check_in(kFunction, "accuracy", terms.accuracy, 0, 1));
  PL_CHECK(base::check_in(kFunction, "bias", terms.bias, 0, 1));
  PL_CHECK(base::check_in(kFunction, "sway", terms.sway, 0, 1));
  PL_CHECK(base::check_at_least(kFunction, "delay", terms.delay, 0));
  PL_CHECK(base::check_at_least(kFunction, "budget", terms.budget, 0));
  PL_TRY(const std::shared_ptr<const world::ObservedModel> seen, world.observed_model());
  PL_TRY(const std::shared_ptr<const world::AuditModel> truth, world::hidden(world).audit_model());
  const world::Process& process = *truth->process;
  if (static_cast<std::size_t>(process.horizon) * process.pairs() > kMostValues) {
    return base::make_error(base::Code::kLimit,
                            fmt::format("{} steps of {} states with {} actions are more than {} values",
                                        process.horizon, process.states, process.actions, kMostValues),
                            std::string(kFunction), "ask in a smaller world");
  }
  std::unique_ptr<SimulatedOverseer> made(new SimulatedOverseer(terms, rng));
  made->situations_ = rng.fork("situations");
  made->answers_ = rng.fork("answers");
  made->actions_ = process.actions;
  made->states_ = process.states;
  made->horizon_ = process.horizon;
  for (std::uint32_t s = 0; s < seen->keys.size(); ++s) made->index_.emplace(seen->keys[s], s);
  made->hidden_ = truth->hidden;
  made->harm_ = truth->cost;
  made->truth_ = best_continuations(process, truth->hidden);
  if (terms.bias > 0) made->fooled_ = best_continuations(*seen->process, seen->reward);
  return made;
}

base::Status SimulatedOverseer::check(const decision::Query& query) const {
  PL_CHECK(base::check_at_least(kFunction, "options", std::ssize(query.options), 1));
  for (const std::int32_t option : query.options) {
    if (option < 0 || static_cast<std::size_t>(option) >= actions_) {
      return base::make_error(base::Code::kValue, fmt::format("option {} of {} actions", option, actions_),
                              std::string(kFunction));
    }
  }
  if (query.proposal && *query.proposal >= query.options.size()) {
    return base::make_error(base::Code::kValue,
                            fmt::format("proposal {} of {} options", *query.proposal, query.options.size()),
                            std::string(kFunction));
  }
  return base::ok();
}

std::optional<std::size_t> SimulatedOverseer::place(const decision::Query& query) const {
  const auto found = index_.find(query.situation);
  if (found == index_.end() || query.deadline < 0 || query.deadline >= horizon_) return std::nullopt;
  return (static_cast<std::size_t>(query.deadline) * states_ + found->second) * actions_;
}

SimulatedOverseer::Sides SimulatedOverseer::sides(const double* q, const decision::Query& query) {
  double best = q[query.options[0]];
  for (const std::int32_t option : query.options) best = std::max(best, q[option]);
  Sides two;
  for (std::size_t i = 0; i < query.options.size(); ++i)
    (q[query.options[i]] >= best - 1e-9 * (1 + std::abs(best)) ? two.right : two.wrong).push_back(i);
  return two;
}

bool SimulatedOverseer::may(std::uint32_t state, const decision::Query& query, std::int32_t option) const {
  const std::size_t pair = std::size_t{state} * actions_ + static_cast<std::size_t>(option);
  return harm_[pair] <= 0 && hidden_[pair] >= *query.veto_below;
}

decision::Answer SimulatedOverseer::vetoed(const decision::Query& query, decision::Answer answer) {
  const auto found = index_.find(query.situation);
  if (found == index_.end()) return answer;
  const bool swayed = terms_.sway > 0 && answers_.uniform() < terms_.sway;
  const bool errs = answers_.uniform() >= terms_.accuracy;
  answer.kind = decision::AnswerKind::kNone;
  for (std::size_t i = 0; i < query.options.size() && !answer.choice; ++i) {
    if (swayed || may(found->second, query, query.options[i]) != errs) answer.choice = i;
  }
  if (answer.choice) answer.kind = decision::AnswerKind::kChoice;
  return answer;
}

base::Result<std::vector<double>> SimulatedOverseer::law(const decision::Query& query) const {
  PL_CHECK(check(query));
  if (query.veto_below)
    return base::make_error(base::Code::kUnsupported, "a veto has no law over options", std::string(kFunction));
  const std::optional<std::size_t> at = place(query);
  if (!at) return std::vector<double>{};
  std::vector<double> law(query.options.size(), 0.0);
  const auto add = [&](double weight, std::size_t option) { law[option] += weight; };
  double honest = 1;
  if (query.proposal) {
    add(terms_.sway, *query.proposal);
    honest -= terms_.sway;
  }
  const auto judge = [&](double weight, const std::vector<double>& q) {
    const Sides two = sides(q.data() + *at, query);
    const double right = two.wrong.empty() ? 1 : terms_.accuracy;
    add(weight * right, two.right.front());
    for (const std::size_t i : two.wrong) add(weight * (1 - right) / static_cast<double>(two.wrong.size()), i);
  };
  judge(honest * (1 - terms_.bias), truth_);
  if (terms_.bias > 0) judge(honest * terms_.bias, fooled_);
  return law;
}

base::Result<decision::Answer> SimulatedOverseer::ask(const decision::Query& query) {
  PL_CHECK(check(query));
  decision::Answer answer;
  answer.answered_at = query.asked_at;
  if (left_ <= 0) {
    answer.kind = decision::AnswerKind::kSpent;
    return answer;
  }
  --left_;
  ++asked_;
  answer.cost = 1;
  answer.answered_at = query.asked_at + terms_.delay;
  if (query.veto_below) return vetoed(query, answer);
  if (answer.answered_at > query.deadline) {
    answer.kind = decision::AnswerKind::kLate;
    return answer;
  }
  const std::optional<std::size_t> at = place(query);
  if (!at) return answer;  // no opinion
  answer.kind = decision::AnswerKind::kChoice;
  if (query.proposal && terms_.sway > 0 && answers_.uniform() < terms_.sway) {
    answer.choice = *query.proposal;
    return answer;
  }
  // One stream a situation: asking again meets the same prejudice.
  base::Rng prejudice = situations_.fork(*at / actions_ % states_).fork(static_cast<std::uint64_t>(query.deadline));
  const bool fooled = terms_.bias > 0 && prejudice.uniform() < terms_.bias;
  const Sides two = sides((fooled ? fooled_ : truth_).data() + *at, query);
  const bool errs = answers_.uniform() >= terms_.accuracy;
  answer.choice = errs && !two.wrong.empty() ? two.wrong[answers_.below(two.wrong.size())] : two.right.front();
  return answer;
}

base::Result<PolicyPtr> learn_overseen(const Agent& agent, world::World& world, const Budget& budget,
                                       const base::Rng& rng, const base::CancelToken& cancel) {
  std::unique_ptr<SimulatedOverseer> overseer;
  if (agent.facts().overseer) {
    PL_TRY(overseer, SimulatedOverseer::make(world, *agent.facts().overseer, rng.fork("overseer")));
  }
  return agent.learn({world, budget, rng.fork("learn"), overseer.get(), cancel});
}

}  // namespace plumbline::agent
