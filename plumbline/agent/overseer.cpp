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
  made->truth_ = best_continuations(process, truth->hidden);
  if (terms.bias > 0) made->fooled_ = best_continuations(*seen->process, seen->reward);
  return made;
}

base::Result<decision::Answer> SimulatedOverseer::ask(const decision::Query& query) {
  PL_CHECK(base::check_at_least(kFunction, "options", std::ssize(query.options), 1));
  for (const std::int32_t option : query.options) {
    if (option < 0 || static_cast<std::size_t>(option) >= actions_) {
      return base::make_error(base::Code::kValue, fmt::format("option {} of {} actions", option, actions_),
                              std::string(kFunction));
    }
  }
  decision::Answer answer;
  answer.answered_at = query.asked_at;
  if (asked_ >= terms_.budget) {
    answer.kind = decision::AnswerKind::kSpent;
    return answer;
  }
  ++asked_;
  answer.cost = 1;
  answer.answered_at = query.asked_at + terms_.delay;
  if (answer.answered_at > query.deadline) {
    answer.kind = decision::AnswerKind::kLate;
    return answer;
  }
  const auto place = index_.find(query.situation);
  if (place == index_.end() || query.deadline < 0 || query.deadline >= horizon_) return answer;  // no opinion
  const auto time = static_cast<std::size_t>(query.deadline);
  // One stream a situation: asking again meets the same prejudice.
  base::Rng prejudice = situations_.fork(place->second).fork(time);
  const bool fooled = terms_.bias > 0 && prejudice.uniform() < terms_.bias;
  const double* q = (fooled ? fooled_ : truth_).data() + (time * states_ + place->second) * actions_;
  double best = q[query.options[0]];
  for (const std::int32_t option : query.options) best = std::max(best, q[option]);
  std::vector<std::size_t> right;
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < query.options.size(); ++i) {
    (q[query.options[i]] >= best - 1e-9 * (1 + std::abs(best)) ? right : wrong).push_back(i);
  }
  answer.kind = decision::AnswerKind::kChoice;
  const bool errs = answers_.uniform() >= terms_.accuracy;
  answer.choice = errs && !wrong.empty() ? wrong[answers_.below(wrong.size())] : right.front();
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
