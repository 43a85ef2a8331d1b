#pragma once
/// Decisions that a policy in the making can come to, in order.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::agent {

/// Goes forwards over (t, s), as far as the rows written so far lead: `decide(t, s, row)` writes the row of a decision
/// and returns a Status, whose error ends it. Precondition: the table has a row for every step of the horizon.
template <class Decide>
base::Status decide_where_reached(const world::Process& process, world::TabularPolicy& table, const Decide& decide) {
  std::vector<std::uint8_t> reached(process.states);
  for (std::uint32_t s = 0; s < process.states; ++s) reached[s] = process.initial[s] > 0 ? 1 : 0;
  for (std::size_t t = 0; t < static_cast<std::size_t>(process.horizon); ++t) {
    std::vector<std::uint8_t> next(process.states, 0);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (reached[s] == 0) continue;
      const std::span<double> row =
          std::span<double>(table.probability).subspan((t * process.states + s) * process.actions, process.actions);
      PL_CHECK(decide(t, s, row));
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (row[a] <= 0) continue;
        const std::size_t pair = process.pair(s, a);
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.next[i] != process.end() && process.probability[i] > 0) next[process.next[i]] = 1;
        }
      }
    }
    reached = std::move(next);
  }
  return base::ok();
}

/// The same policy with a row for every step of the horizon.
inline world::TabularPolicy every_step(const world::Process& process, const world::TabularPolicy& policy) {
  if (policy.steps == process.horizon) return policy;
  world::TabularPolicy all{policy.states, policy.actions, process.horizon, {}};
  for (int t = 0; t < process.horizon; ++t)
    all.probability.insert(all.probability.end(), policy.probability.begin(), policy.probability.end());
  return all;
}

}  // namespace plumbline::agent
