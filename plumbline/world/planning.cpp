#include "plumbline/world/planning.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/vector_math.hpp"

namespace plumbline::world {
namespace {

base::Status check_finite_horizon(std::string_view function, const Process& process, std::span<const double> reward,
                                  double discount) {
  PL_CHECK(validate_reward(process, reward));
  PL_CHECK(base::check_at_least(function, "horizon", process.horizon, 1));
  PL_CHECK(base::check_in(function, "discount", discount, 0, 1));
  return base::check_positive(function, "discount", discount);
}

base::Status check_discounted(std::string_view function, const Process& process, std::span<const double> reward,
                              double discount, double tolerance) {
  PL_CHECK(validate_reward(process, reward));
  PL_CHECK(base::check_in_open(function, "discount", discount, 0, 1));
  return base::check_positive(function, "tolerance", tolerance);
}

/// Every pair leads to one state for certain.
bool deterministic(const Process& process) {
  if (process.next.size() != process.pairs()) return false;
  for (std::size_t pair = 0; pair <= process.pairs(); ++pair) {
    if (process.first[pair] != pair) return false;
  }
  return std::all_of(process.probability.begin(), process.probability.end(), [](double p) { return p == 1; });
}

/// Calls `fn` with the function that gives sum_s' P(s'|pair) value(s'): one load where every pair leads to one state
/// for certain. The bits are those of the sum, since no value is -0: they start at 0, and 0 is added in every backup.
template <class Fn>
auto with_expected(const Process& process, const Fn& fn) {
  if (deterministic(process)) {
    const std::uint32_t* next = process.next.data();
    return fn([next](std::size_t pair, const std::vector<double>& value) { return value[next[pair]]; });
  }
  return fn(
      [&process](std::size_t pair, const std::vector<double>& value) { return expected_next(process, pair, value); });
}

double start_value(const Process& process, const std::vector<double>& value) {
  double sum = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) sum += process.initial[s] * value[s];
  return sum;
}

/// Greedy actions by `reward` and `value`, ties to the lowest; the improved value goes to `best`.
template <class Expected>
void greedy(const Process& process, const Expected& expected, std::span<const double> reward, double discount,
            const std::vector<double>& value, std::vector<std::int32_t>& action, std::vector<double>& best) {
  for (std::uint32_t s = 0; s < process.states; ++s) {
    double top = 0;
    std::int32_t choice = -1;
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::size_t pair = process.pair(s, a);
      const double q = reward[pair] + discount * expected(pair, value);
      if (choice < 0 || q > top) {
        top = q;
        choice = static_cast<std::int32_t>(a);
      }
    }
    action[s] = choice;
    best[s] = top;
  }
}

}  // namespace

base::Result<Plan> finite_horizon(const Process& process, std::span<const double> reward, double discount) {
  PL_CHECK(check_finite_horizon("finite_horizon", process, reward, discount));
  Plan plan;
  plan.iterations = process.horizon;
  plan.policy = {process.states, process.actions, process.horizon,
                 std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon), 0.0)};
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> best(process.states + 1, 0.0);
  std::vector<std::int32_t> action(process.states);
  with_expected(process, [&](const auto& expected) {
    for (int t = process.horizon - 1; t >= 0; --t) {
      greedy(process, expected, reward, discount, plan.value, action, best);
      for (std::uint32_t s = 0; s < process.states; ++s) {
        plan.policy.probability[static_cast<std::size_t>(t) * process.pairs() +
                                process.pair(s, static_cast<std::uint32_t>(action[s]))] = 1;
      }
      std::swap(plan.value, best);
    }
  });
  plan.start = start_value(process, plan.value);
  return plan;
}

base::Result<double> best_return(const Process& process, std::span<const double> reward, double discount) {
  PL_CHECK(check_finite_horizon("best_return", process, reward, discount));
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> best(process.states + 1, 0.0);
  std::vector<std::int32_t> action(process.states);
  with_expected(process, [&](const auto& expected) {
    for (int t = process.horizon - 1; t >= 0; --t) {
      greedy(process, expected, reward, discount, value, action, best);
      std::swap(value, best);
    }
  });
  return start_value(process, value);
}

base::Result<std::vector<double>> policy_values(const Process& process, std::span<const double> reward,
                                                const TabularPolicy& policy, double discount) {
  PL_CHECK(check_finite_horizon("policy_values", process, reward, discount));
  PL_CHECK(validate_policy(process, policy));
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> earlier(process.states + 1, 0.0);
  with_expected(process, [&](const auto& expected) {
    for (int t = process.horizon - 1; t >= 0; --t) {
      for (std::uint32_t s = 0; s < process.states; ++s) {
        const std::span<const double> row = policy.at(t, s);
        double sum = 0;
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          if (row[a] == 0) continue;
          const std::size_t pair = process.pair(s, a);
          sum += row[a] * (reward[pair] + discount * expected(pair, value));
        }
        earlier[s] = sum;
      }
      std::swap(value, earlier);
    }
  });
  return value;
}

base::Result<double> policy_return(const Process& process, std::span<const double> reward, const TabularPolicy& policy,
                                   double discount) {
  PL_TRY(const std::vector<double> value, policy_values(process, reward, policy, discount));
  return start_value(process, value);
}

base::Result<double> rounding_bound(const Process& process, std::span<const double> reward) {
  PL_CHECK(check_finite_horizon("rounding_bound", process, reward, 1));
  std::uint64_t outcomes = 0;
  for (std::size_t pair = 0; pair < process.pairs(); ++pair)
    outcomes = std::max(outcomes, process.first[pair + 1] - process.first[pair]);
  const auto starts = std::count_if(process.initial.begin(), process.initial.end(), [](double p) { return p != 0; });
  double largest = 0;
  for (const double r : reward) largest = std::max(largest, std::abs(r));
  const auto relative = [](double terms) {
    constexpr double kUnit = std::numeric_limits<double>::epsilon() / 2;
    return terms * kUnit < 1 ? terms * kUnit / (1 - terms * kUnit) : std::numeric_limits<double>::infinity();
  };
  const double steps = process.horizon;
  const double growth = std::pow(1 + 2e-9, steps);
  const double backup = relative(static_cast<double>(outcomes) + process.actions + 2);
  return growth * largest * (steps * (steps + 1) * backup + steps * relative(static_cast<double>(starts)));
}

base::Result<std::vector<double>> occupancy(const Process& process, const TabularPolicy& policy, double discount) {
  PL_CHECK(base::check_at_least("occupancy", "horizon", process.horizon, 1));
  PL_CHECK(base::check_positive("occupancy", "discount", discount));
  PL_CHECK(base::check_in("occupancy", "discount", discount, 0, 1));
  PL_CHECK(validate_policy(process, policy));
  std::vector<double> visits(process.pairs(), 0.0);
  std::vector<double> here = process.initial;
  here.push_back(0);
  std::vector<double> there(process.states + 1, 0.0);
  double weight = 1;
  for (int t = 0; t < process.horizon; ++t) {
    std::fill(there.begin(), there.end(), 0.0);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (here[s] == 0) continue;
      const std::span<const double> row = policy.at(t, s);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (row[a] == 0) continue;
        const std::size_t pair = process.pair(s, a);
        const double mass = here[s] * row[a];
        visits[pair] += weight * mass;
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          there[process.next[i]] += mass * process.probability[i];
        }
      }
    }
    std::swap(here, there);
    weight *= discount;
  }
  return visits;
}

base::Result<std::pair<double, double>> tie_range(const Process& process, std::span<const double> reward,
                                                  const Process& audited, std::span<const double> second,
                                                  double tolerance) {
  PL_CHECK(check_finite_horizon("tie_range", process, reward, 1));
  PL_CHECK(check_finite_horizon("tie_range", audited, second, 1));
  PL_CHECK(base::check_size("tie_range", "audited.states", audited.states, process.states));
  PL_CHECK(base::check_size("tie_range", "audited.actions", audited.actions, process.actions));
  PL_CHECK(base::check_size("tie_range", "audited.horizon", audited.horizon, process.horizon));
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> worst(process.states + 1, 0.0);
  std::vector<double> best(process.states + 1, 0.0);
  std::vector<double> next_value = value;
  std::vector<double> next_worst = value;
  std::vector<double> next_best = value;
  std::vector<double> q(process.actions);
  const auto sweep = [&](const auto& expected, const auto& counted) {
    for (int t = process.horizon - 1; t >= 0; --t) {
      for (std::uint32_t s = 0; s < process.states; ++s) {
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          const std::size_t pair = process.pair(s, a);
          q[a] = reward[pair] + expected(pair, value);
        }
        const double top = *std::max_element(q.begin(), q.end());
        bool any = false;
        for (std::uint32_t a = 0; a < process.actions; ++a) {
          if (q[a] < top - tolerance) continue;
          const std::size_t pair = process.pair(s, a);
          const double low = second[pair] + counted(pair, worst);
          const double high = second[pair] + counted(pair, best);
          next_worst[s] = any ? std::min(next_worst[s], low) : low;
          next_best[s] = any ? std::max(next_best[s], high) : high;
          any = true;
        }
        next_value[s] = top;
      }
      std::swap(value, next_value);
      std::swap(worst, next_worst);
      std::swap(best, next_best);
    }
  };
  with_expected(process, [&](const auto& expected) {
    with_expected(audited, [&](const auto& counted) { sweep(expected, counted); });
  });
  return std::pair(start_value(audited, worst), start_value(audited, best));
}

base::Result<Plan> value_iteration(const Process& process, std::span<const double> reward, double discount,
                                   double tolerance) {
  PL_CHECK(check_discounted("value_iteration", process, reward, discount, tolerance));
  Plan plan;
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> best(process.states + 1, 0.0);
  std::vector<std::int32_t> action(process.states);
  // Each sweep shrinks the error by the discount, so the loop ends; the factor turns a change into a bound.
  const double factor = discount / (1 - discount);
  const auto plain = [&process](std::size_t pair, const std::vector<double>& v) {
    return expected_next(process, pair, v);
  };
  double change = 0;
  do {
    greedy(process, plain, reward, discount, plan.value, action, best);
    change = 0;
    for (std::uint32_t s = 0; s < process.states; ++s) change = std::max(change, std::abs(best[s] - plan.value[s]));
    std::swap(plan.value, best);
    ++plan.iterations;
    // Rounding keeps the change above zero when rewards are large: stop where doubles can say no more.
    double scale = 1;
    for (std::uint32_t s = 0; s < process.states; ++s) scale = std::max(scale, std::abs(plan.value[s]));
    if (change <= 4e-16 * scale) break;
  } while (change * factor > tolerance);
  plan.error_bound = change * factor;
  greedy(process, plain, reward, discount, plan.value, action, best);
  PL_TRY(plan.policy, deterministic_policy(process, action));
  plan.start = start_value(process, plan.value);
  return plan;
}

base::Result<Plan> policy_iteration(const Process& process, std::span<const double> reward, double discount,
                                    double tolerance) {
  PL_CHECK(check_discounted("policy_iteration", process, reward, discount, tolerance));
  Plan plan;
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> best(process.states + 1, 0.0);
  std::vector<std::int32_t> action(process.states, 0);
  const double factor = discount / (1 - discount);
  for (;;) {
    double change = 0;
    double scale = 1;
    do {  // Gauss-Seidel evaluation of the present policy
      change = 0;
      for (std::uint32_t s = 0; s < process.states; ++s) {
        const std::size_t pair = process.pair(s, static_cast<std::uint32_t>(action[s]));
        const double v = reward[pair] + discount * expected_next(process, pair, plan.value);
        change = std::max(change, std::abs(v - plan.value[s]));
        scale = std::max(scale, std::abs(v));
        plan.value[s] = v;
      }
    } while (change * factor > tolerance && change > 4e-16 * scale);
    plan.error_bound = change * factor;
    ++plan.iterations;
    // Only a strict improvement beyond the evaluation's error changes an action, or ties could cycle.
    bool changed = false;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      double top = plan.value[s] + 2 * plan.error_bound + 1e-13 * scale;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        const double q = reward[pair] + discount * expected_next(process, pair, plan.value);
        if (q > top) {
          top = q;
          action[s] = static_cast<std::int32_t>(a);
          changed = true;
        }
      }
    }
    if (!changed) break;
  }
  PL_TRY(plan.policy, deterministic_policy(process, action));
  plan.start = start_value(process, plan.value);
  return plan;
}

namespace {

/// One soft backup of `count` states from `first` on, in blocks that stay in the first-level cache: `row` receives
/// their policies, `earlier` their values. `Expected` gives sum_s' P(s'|pair) V(s'). `kActions` is the number of
/// actions where it is known when compiling, else 0.
template <std::uint32_t kActions, class Expected>
void soft_backup(std::uint32_t states, std::uint32_t any_actions, std::span<const double> reward, double temperature,
                 const Expected& expected, double* policy, std::vector<double>& earlier) {
  const std::uint32_t actions = kActions != 0 ? kActions : any_actions;
  constexpr std::size_t kBlock = 512;  // pairs
  const std::uint32_t step = std::max<std::uint32_t>(4, static_cast<std::uint32_t>(kBlock / actions) & ~3U);
  std::vector<double> q(std::size_t{step} * actions);
  std::vector<double> top(step);
  std::vector<double> sum(step);
  const double sharpness = 1 / temperature;
  for (std::uint32_t first = 0; first < states; first += step) {
    const std::uint32_t count = std::min(step, states - first);
    const std::size_t base_pair = std::size_t{first} * actions;
    std::size_t i = 0;
    for (std::uint32_t k = 0; k < count; ++k) {
      double best = -std::numeric_limits<double>::infinity();
      for (std::uint32_t a = 0; a < actions; ++a, ++i) {
        q[i] = reward[base_pair + i] + expected(base_pair + i);
        best = q[i] > best ? q[i] : best;
      }
      top[k] = best;
      for (std::size_t j = i - actions; j < i; ++j) q[j] = (q[j] - best) * sharpness;
    }
    const std::size_t used = i;
    for (; i % 4 != 0; ++i) q[i] = 0;
    detail::exp_all(q.data(), i);
    i = 0;
    for (std::uint32_t k = 0; k < count; ++k) {
      double total = 0;
      for (std::uint32_t a = 0; a < actions; ++a) total += q[i + a];
      const double inverse = 1 / total;
      for (std::uint32_t a = 0; a < actions; ++a, ++i) q[i] *= inverse;
      sum[k] = total;
    }
    std::copy(q.begin(), q.begin() + static_cast<std::ptrdiff_t>(used), policy + base_pair);
    for (std::uint32_t k = count; k % 4 != 0; ++k) sum[k] = 1;
    detail::log_all(sum.data(), (std::size_t{count} + 3) & ~std::size_t{3});
    for (std::uint32_t k = 0; k < count; ++k) earlier[first + k] = top[k] + temperature * sum[k];
  }
}

template <class Expected>
void soft_backup(std::uint32_t states, std::uint32_t actions, std::span<const double> reward, double temperature,
                 const Expected& expected, double* policy, std::vector<double>& earlier) {
  switch (actions) {
    case 4: return soft_backup<4>(states, actions, reward, temperature, expected, policy, earlier);
    case 5: return soft_backup<5>(states, actions, reward, temperature, expected, policy, earlier);
    case 6: return soft_backup<6>(states, actions, reward, temperature, expected, policy, earlier);
    default: return soft_backup<0>(states, actions, reward, temperature, expected, policy, earlier);
  }
}

}  // namespace

base::Result<Plan> soft_value_iteration(const Process& process, std::span<const double> reward, double temperature) {
  PL_CHECK(check_finite_horizon("soft_value_iteration", process, reward, 1));
  PL_CHECK(base::check_positive("soft_value_iteration", "temperature", temperature));
  Plan plan;
  plan.iterations = process.horizon;
  plan.policy = {process.states, process.actions, process.horizon,
                 std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon))};
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> earlier(process.states + 1, 0.0);
  const bool certain = deterministic(process);
  for (int t = process.horizon - 1; t >= 0; --t) {
    double* policy = plan.policy.probability.data() + static_cast<std::size_t>(t) * process.pairs();
    const double* value = plan.value.data();
    if (certain) {
      const std::uint32_t* next = process.next.data();
      soft_backup(
          process.states, process.actions, reward, temperature, [&](std::size_t pair) { return value[next[pair]]; },
          policy, earlier);
    } else {
      soft_backup(
          process.states, process.actions, reward, temperature,
          [&](std::size_t pair) { return expected_next(process, pair, plan.value); }, policy, earlier);
    }
    std::swap(plan.value, earlier);
  }
  plan.start = start_value(process, plan.value);
  return plan;
}

}  // namespace plumbline::world
