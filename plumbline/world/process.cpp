#include "plumbline/world/process.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::world {
namespace {

constexpr double kRowTolerance = 1e-9;

base::Error bad_row(std::string_view what, std::size_t pair, std::uint32_t actions) {
  return base::make_error(base::Code::kValue,
                          fmt::format("{} for state {}, action {}", what, pair / actions, pair % actions), "process");
}

base::Status check_distribution(std::span<const double> row, std::string_view name) {
  double sum = 0;
  for (const double p : row) {
    if (!(p >= 0 && p <= 1 + kRowTolerance)) {
      return base::make_error(base::Code::kValue, fmt::format("{} holds {}, which is no probability", name, p));
    }
    sum += p;
  }
  if (!(std::abs(sum - 1) <= kRowTolerance)) {
    return base::make_error(base::Code::kValue, fmt::format("{} sums to {:.12g} instead of 1", name, sum));
  }
  return base::ok();
}

}  // namespace

base::Status validate(const Process& process) {
  constexpr std::string_view kFunction = "validate";
  PL_CHECK(base::check_at_least(kFunction, "states", process.states, 1));
  PL_CHECK(base::check_at_least(kFunction, "actions", process.actions, 1));
  PL_CHECK(base::check_at_least(kFunction, "horizon", process.horizon, 0));
  const std::size_t pairs = process.pairs();
  PL_CHECK(base::check_size(kFunction, "first", std::ssize(process.first), static_cast<std::ptrdiff_t>(pairs + 1)));
  PL_CHECK(base::check_size(kFunction, "probability", std::ssize(process.probability), std::ssize(process.next)));
  PL_CHECK(base::check_size(kFunction, "initial", std::ssize(process.initial), process.states));
  if (process.first.front() != 0 || process.first.back() != process.next.size()) {
    return base::make_error(base::Code::kShape, "the row offsets do not span the transitions", "process");
  }
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    if (process.first[pair + 1] < process.first[pair]) {
      return base::make_error(base::Code::kShape, "the row offsets decrease", "process");
    }
    double sum = 0;
    for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
      const double p = process.probability[i];
      if (!(p >= 0 && p <= 1 + kRowTolerance)) {
        return bad_row(fmt::format("{} is no probability", p), pair, process.actions);
      }
      if (process.next[i] > process.states) {
        return bad_row(fmt::format("next state {} of {}", process.next[i], process.states), pair, process.actions);
      }
      sum += p;
    }
    if (!(std::abs(sum - 1) <= kRowTolerance)) {
      return bad_row(fmt::format("the probabilities sum to {:.12g} instead of 1", sum), pair, process.actions);
    }
  }
  return check_distribution(process.initial, "the initial distribution");
}

base::Status validate_reward(const Process& process, std::span<const double> reward) {
  PL_CHECK(
      base::check_size("validate_reward", "reward", std::ssize(reward), static_cast<std::ptrdiff_t>(process.pairs())));
  for (std::size_t pair = 0; pair < reward.size(); ++pair) {
    if (!std::isfinite(reward[pair])) {
      return bad_row(fmt::format("the reward is {}", reward[pair]), pair, process.actions);
    }
  }
  return base::ok();
}

TabularPolicy uniform_policy(const Process& process) {
  return {process.states, process.actions, 1,
          std::vector<double>(process.pairs(), 1.0 / static_cast<double>(process.actions))};
}

base::Result<TabularPolicy> deterministic_policy(const Process& process, std::span<const std::int32_t> action) {
  PL_CHECK(base::check_size("deterministic_policy", "action", std::ssize(action), process.states));
  TabularPolicy policy{process.states, process.actions, 1, std::vector<double>(process.pairs(), 0.0)};
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (action[s] < 0 || static_cast<std::uint32_t>(action[s]) >= process.actions) {
      return base::make_error(base::Code::kValue,
                              fmt::format("action {} in state {}, there are {}", action[s], s, process.actions),
                              "deterministic_policy");
    }
    policy.probability[process.pair(s, static_cast<std::uint32_t>(action[s]))] = 1;
  }
  return policy;
}

base::Status validate_policy(const Process& process, const TabularPolicy& policy) {
  constexpr std::string_view kFunction = "validate_policy";
  PL_CHECK(base::check_size(kFunction, "states", policy.states, process.states));
  PL_CHECK(base::check_size(kFunction, "actions", policy.actions, process.actions));
  if (policy.steps != 1 && policy.steps != process.horizon) {
    return base::make_error(base::Code::kShape,
                            fmt::format("a policy of {} steps for a process of {}: give 1 (stationary) or all",
                                        policy.steps, process.horizon),
                            std::string(kFunction));
  }
  PL_CHECK(base::check_size(kFunction, "probability", std::ssize(policy.probability),
                            static_cast<std::ptrdiff_t>(process.pairs()) * policy.steps));
  for (int t = 0; t < policy.steps; ++t) {
    for (std::uint32_t s = 0; s < policy.states; ++s) {
      if (const base::Status status = check_distribution(policy.at(t, s), "the policy's row"); !status.ok()) {
        return status.error().at(fmt::format("time {}, state {}", t, s));
      }
    }
  }
  return base::ok();
}

ProcessBuilder::ProcessBuilder(std::uint32_t states, std::uint32_t actions, int horizon) {
  process_.states = states;
  process_.actions = actions;
  process_.horizon = horizon;
  process_.initial.assign(states, 0.0);
}

void ProcessBuilder::add(std::uint32_t state, std::uint32_t action, std::uint32_t next, double probability) {
  base::ensure(state < process_.states && action < process_.actions, "ProcessBuilder::add: no such pair");
  entries_.push_back({process_.pair(state, action), next, probability});
}

void ProcessBuilder::start(std::uint32_t state, double probability) {
  base::ensure(state < process_.states, "ProcessBuilder::start: no such state");
  process_.initial[state] += probability;
}

base::Result<Process> ProcessBuilder::finish() && {
  // Stable: mass to the same next state adds up in the order in which it was given, so the bits do not depend on luck.
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.pair != b.pair ? a.pair < b.pair : a.next < b.next; });
  process_.first.assign(process_.pairs() + 1, 0);
  process_.next.reserve(entries_.size());
  process_.probability.reserve(entries_.size());
  std::size_t i = 0;
  for (std::size_t pair = 0; pair < process_.pairs(); ++pair) {
    process_.first[pair] = process_.next.size();
    for (; i < entries_.size() && entries_[i].pair == pair; ++i) {
      if (process_.next.size() > process_.first[pair] && process_.next.back() == entries_[i].next) {
        process_.probability.back() += entries_[i].probability;
      } else {
        process_.next.push_back(entries_[i].next);
        process_.probability.push_back(entries_[i].probability);
      }
    }
  }
  process_.first[process_.pairs()] = process_.next.size();
  PL_CHECK(validate(process_));
  return std::move(process_);
}

}  // namespace plumbline::world
