#include "plumbline/reach/shield.hpp"

#include <algorithm>

#include "plumbline/base/guard.hpp"

namespace plumbline::reach {
namespace {

base::Status check_events(const world::Process& process, const UnsafeEvents& events) {
  if (!events.state.empty())
    PL_CHECK(
        base::check_size("shield", "events.state", static_cast<std::ptrdiff_t>(events.state.size()), process.states));
  if (!events.pair.empty())
    PL_CHECK(base::check_size("shield", "events.pair", static_cast<std::ptrdiff_t>(events.pair.size()),
                              static_cast<std::ptrdiff_t>(process.pairs())));
  return base::ok();
}

bool unsafe_state(const UnsafeEvents& events, std::size_t state) {
  return !events.state.empty() && events.state[state];
}
bool unsafe_pair(const UnsafeEvents& events, std::size_t pair) { return !events.pair.empty() && events.pair[pair]; }

/// For each state the pairs that may lead there.
struct Incoming {
  std::vector<std::uint64_t> first;
  std::vector<std::uint64_t> pair;
};

Incoming incoming(const world::Process& process) {
  Incoming out;
  out.first.assign(process.states + 1, 0);
  const auto counts = [&](std::uint64_t i) { return process.probability[i] > 0 && process.next[i] != process.end(); };
  for (std::uint64_t i = 0; i < process.next.size(); ++i) {
    if (counts(i)) ++out.first[process.next[i] + 1];
  }
  for (std::size_t s = 0; s < process.states; ++s) out.first[s + 1] += out.first[s];
  out.pair.resize(out.first.back());
  std::vector<std::uint64_t> at(out.first.begin(), out.first.end() - 1);
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
    for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
      if (counts(i)) out.pair[at[process.next[i]]++] = pair;
    }
  }
  return out;
}

}  // namespace

std::size_t Shield::winning_states() const {
  return static_cast<std::size_t>(std::count(winning.begin(), winning.end(), true));
}

base::Result<Shield> solve_shield(const world::Process& process, const UnsafeEvents& events) {
  PL_CHECK(world::validate(process));
  PL_CHECK(check_events(process, events));
  const Incoming in = incoming(process);
  Shield out;
  out.winning.assign(process.states, true);
  out.rounds.assign(process.states, -1);
  std::vector<bool> lost(process.pairs(), false);
  std::vector<std::uint32_t> left(process.states, process.actions);  // pairs that have not lost
  std::vector<std::uint32_t> queue;
  const auto lose_state = [&](std::uint32_t s, std::int32_t round) {
    if (!out.winning[s]) return;
    out.winning[s] = false;
    out.rounds[s] = round;
    queue.push_back(s);
  };
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (unsafe_state(events, s)) lose_state(s, 0);
  }
  for (std::uint32_t s = 0; s < process.states; ++s) {
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      if (!unsafe_pair(events, process.pair(s, a))) continue;
      lost[process.pair(s, a)] = true;
      if (--left[s] == 0) lose_state(s, 1);
    }
  }
  // Breadth first, so that a state's round is the longest that its best action can hold out.
  for (std::size_t head = 0; head < queue.size(); ++head) {
    const std::uint32_t s = queue[head];
    for (std::uint64_t i = in.first[s]; i < in.first[s + 1]; ++i) {
      const std::uint64_t pair = in.pair[i];
      if (lost[pair]) continue;
      lost[pair] = true;
      const auto owner = static_cast<std::uint32_t>(pair / process.actions);
      if (--left[owner] == 0) lose_state(owner, out.rounds[s] + 1);
    }
  }
  out.allowed.assign(process.pairs(), false);
  for (std::uint32_t s = 0; s < process.states; ++s) {
    for (std::uint32_t a = 0; out.winning[s] && a < process.actions; ++a)
      out.allowed[process.pair(s, a)] = !lost[process.pair(s, a)];
  }
  return out;
}

base::Result<world::TabularPolicy> shielded(const world::Process& process, const Shield& shield,
                                            const world::TabularPolicy& policy) {
  PL_CHECK(world::validate_policy(process, policy));
  PL_CHECK(base::check_size("shielded", "shield", static_cast<std::ptrdiff_t>(shield.allowed.size()),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  world::TabularPolicy out = policy;
  for (int t = 0; t < policy.steps; ++t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (!shield.winning[s]) continue;
      double* const row = out.probability.data() + (static_cast<std::size_t>(t) * process.states + s) * process.actions;
      double kept = 0;
      double open = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (!shield.allowed[process.pair(s, a)]) continue;
        kept += row[a];
        open += 1;
      }
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const bool allowed = shield.allowed[process.pair(s, a)];
        row[a] = !allowed ? 0 : kept > 0 ? row[a] / kept : 1 / open;
      }
    }
  }
  return out;
}

base::Result<ShieldAccount> account(const world::Process& process, const UnsafeEvents& events, const Shield& shield,
                                    const world::TabularPolicy& policy, int horizon) {
  PL_CHECK(world::validate(process));
  PL_CHECK(world::validate_policy(process, policy));
  PL_CHECK(check_events(process, events));
  PL_CHECK(base::check_size("account", "shield", static_cast<std::ptrdiff_t>(shield.allowed.size()),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  const int steps = process.horizon > 0 ? process.horizon : horizon;
  if (steps < 1)
    return base::make_error(base::Code::kValue,
                            "account: the process has no horizon: say how many steps to look ahead");
  ShieldAccount out;
  std::vector<double> now(process.initial);
  std::vector<double> next(process.states);
  double blocked = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (!shield.winning[s]) out.losing_start += now[s];
    if (unsafe_state(events, s)) {
      out.violation += now[s];
      now[s] = 0;
    }
  }
  for (int t = 0; t < steps; ++t) {
    std::fill(next.begin(), next.end(), 0.0);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (now[s] == 0) continue;
      const std::span<const double> row = policy.at(policy.steps == 1 ? 0 : t, s);
      if (shield.winning[s]) out.steps += now[s];
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const double mass = now[s] * row[a];
        if (mass == 0) continue;
        const std::size_t pair = process.pair(s, a);
        if (shield.winning[s] && !shield.allowed[pair]) blocked += mass;
        if (unsafe_pair(events, pair)) {
          out.violation += mass;
          continue;
        }
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          const double arriving = mass * process.probability[i];
          if (process.next[i] == process.end()) continue;
          if (unsafe_state(events, process.next[i])) {
            out.violation += arriving;
          } else {
            next[process.next[i]] += arriving;
          }
        }
      }
    }
    std::swap(now, next);
  }
  out.interference = out.steps > 0 ? blocked / out.steps : 0;
  return out;
}

}  // namespace plumbline::reach
