#include "plumbline/reward/side_effects.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "plumbline/base/guard.hpp"

namespace plumbline::reward {
namespace {

using world::Process;

/// Where one may be, with probabilities; the end of the episode is left out.
using Places = std::vector<std::pair<std::uint32_t, double>>;

Places after(const Process& process, std::uint32_t state, std::uint32_t action) {
  Places places;
  for (std::uint64_t i = process.first[process.pair(state, action)]; i < process.first[process.pair(state, action) + 1];
       ++i) {
    if (process.next[i] != process.end()) places.emplace_back(process.next[i], process.probability[i]);
  }
  return places;
}

Places after_all(const Process& process, const Places& places, std::uint32_t action) {
  std::vector<std::pair<std::uint32_t, double>> all;
  for (const auto& [state, p] : places) {
    for (const auto& [next, q] : after(process, state, action)) all.emplace_back(next, p * q);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Places merged;
  for (const auto& entry : all) {
    if (!merged.empty() && merged.back().first == entry.first)
      merged.back().second += entry.second;
    else
      merged.push_back(entry);
  }
  return merged;
}

Places start_of(const Process& process) {
  Places places;
  for (std::uint32_t s = 0; s < process.states; ++s) {
    if (process.initial[s] > 0) places.emplace_back(s, process.initial[s]);
  }
  return places;
}

base::Status check_against(const Process& process, const BaselineOptions& against) {
  PL_CHECK(base::check_in("side_effects", "noop", against.noop, 0, static_cast<double>(process.actions) - 1));
  PL_CHECK(base::check_at_least("side_effects", "rollout", against.rollout, 0));
  if (against.baseline == Baseline::kStart && against.rollout > 0) {
    return base::make_error(
        base::Code::kValue,
        "side_effects: rollout = " + std::to_string(against.rollout) + " with the start as baseline", {},
        "roll-outs go with the baselines inaction and stepwise");
  }
  if (against.baseline == Baseline::kInaction)
    PL_CHECK(base::check_at_least("side_effects", "horizon", process.horizon, 1));
  return base::ok();
}

/// Runs compare(t, pair, base, here, weight) over all that is to be compared; weights of one (t, pair) sum to 1.
/// `here` and `base` are places; `pair`s that surely end the episode are skipped.
template <class Compare>
void each_comparison(const Process& process, const BaselineOptions& against, int steps, const Compare& compare) {
  // Roll-outs of doing nothing from every state, by number of steps.
  std::vector<std::vector<Places>> rolled(static_cast<std::size_t>(against.rollout) + 1,
                                          std::vector<Places>(process.states));
  for (std::uint32_t s = 0; s < process.states; ++s) {
    rolled[0][s] = {{s, 1.0}};
    for (std::size_t k = 1; k < rolled.size(); ++k) rolled[k][s] = after_all(process, rolled[k - 1][s], against.noop);
  }
  const auto roll = [&](const Places& places, std::size_t k) {
    if (k == 0) return places;
    Places all;
    for (const auto& [state, p] : places) {
      for (const auto& [next, q] : rolled[k][state]) all.emplace_back(next, p * q);
    }
    return all;
  };
  const std::size_t from = against.along_rollout ? 0 : static_cast<std::size_t>(against.rollout);
  const double weight = 1.0 / static_cast<double>(rolled.size() - from);
  const Places start = start_of(process);
  Places idle = start;
  for (int t = 0; t < steps; ++t) {
    if (against.baseline == Baseline::kInaction) idle = after_all(process, idle, against.noop);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const Places still = against.baseline == Baseline::kStart      ? start
                           : against.baseline == Baseline::kInaction ? idle
                                                                     : after(process, s, against.noop);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (against.baseline == Baseline::kStepwise && a == against.noop) continue;  // itself
        const Places here = after(process, s, a);
        for (std::size_t k = from; k < rolled.size(); ++k)
          compare(t, process.pair(s, a), roll(still, k), roll(here, k), weight);
      }
    }
  }
}

bool without_chance(const Process& process) {
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
    if (process.first[pair + 1] - process.first[pair] != 1) return false;
  }
  return true;
}

PenaltyTable empty_table(const Process& process, const BaselineOptions& against) {
  PenaltyTable table;
  table.steps = against.baseline == Baseline::kInaction ? process.horizon : 1;
  table.pairs = process.pairs();
  table.penalty.assign(static_cast<std::size_t>(table.steps) * table.pairs, 0.0);
  return table;
}

}  // namespace

std::string_view baseline_name(Baseline baseline) {
  switch (baseline) {
    case Baseline::kStart: return "start";
    case Baseline::kInaction: return "inaction";
    case Baseline::kStepwise: break;
  }
  return "stepwise inaction";
}

base::Result<std::vector<double>> relative_reachability(const Process& process, std::span<const Comparison> comparisons,
                                                        double discount) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_positive("relative_reachability", "discount", discount));
  PL_CHECK(base::check_in("relative_reachability", "discount", discount, 0, 1));
  if (process.states > 65536) {
    return base::make_error(base::Code::kLimit, "relative_reachability: more than 65,536 states");
  }
  for (const Comparison& c : comparisons) {
    PL_CHECK(base::check_in("relative_reachability", "state", std::max(c.from, c.to), 0,
                            static_cast<double>(process.states) - 1));
  }
  if (!without_chance(process)) {
    return base::make_error(base::Code::kUnsupported, "relative_reachability: an action has more than one outcome", {},
                            "use reachability_matrix");
  }
  const std::size_t words = (process.states + 63) / 64;
  std::vector<std::uint64_t> within(process.states * words, 0);  // row s: states reachable in at most k steps
  for (std::size_t s = 0; s < process.states; ++s) within[s * words + s / 64] |= std::uint64_t{1} << (s % 64);
  std::vector<std::uint64_t> further = within;
  std::vector<double> result(comparisons.size(), 0.0);
  const auto lost = [&](const Comparison& c) {
    const std::uint64_t* from = within.data() + c.from * words;
    const std::uint64_t* to = within.data() + c.to * words;
    std::uint64_t count = 0;
    for (std::size_t w = 0; w < words; ++w) count += static_cast<std::uint64_t>(std::popcount(from[w] & ~to[w]));
    return static_cast<double>(count);
  };
  // Distinct successors, without the state itself: many actions bump into something.
  std::vector<std::uint32_t> successors;
  std::vector<std::size_t> first = {0};
  for (std::uint32_t s = 0; s < process.states; ++s) {
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::uint32_t next = process.next[process.first[process.pair(s, a)]];
      if (next == process.end() || next == s) continue;
      if (std::find(successors.begin() + static_cast<std::ptrdiff_t>(first.back()), successors.end(), next) ==
          successors.end()) {
        successors.push_back(next);
      }
    }
    first.push_back(successors.size());
  }
  double weight = 1;  // discount^k
  for (bool grows = true; grows; weight *= discount) {
    if (discount < 1) {
      for (std::size_t c = 0; c < comparisons.size(); ++c) result[c] += weight * (1 - discount) * lost(comparisons[c]);
    }
    grows = false;
    for (std::size_t s = 0; s < process.states; ++s) {
      const std::uint64_t* own = within.data() + s * words;
      std::uint64_t* row = further.data() + s * words;
      std::copy(own, own + words, row);
      for (std::size_t i = first[s]; i < first[s + 1]; ++i) {
        const std::uint64_t* other = within.data() + successors[i] * words;
        for (std::size_t w = 0; w < words; ++w) row[w] |= other[w];
      }
      if (!grows) grows = !std::equal(own, own + words, row);
    }
    std::swap(within, further);
  }
  // From here on the sets stay as they are: the rest of the weights goes to them at once.
  for (std::size_t c = 0; c < comparisons.size(); ++c) {
    result[c] = (result[c] + weight * lost(comparisons[c])) / static_cast<double>(process.states);
  }
  return result;
}

base::Result<MatrixD> reachability_matrix(const Process& process, double discount) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_positive("reachability_matrix", "discount", discount));
  PL_CHECK(base::check_in("reachability_matrix", "discount", discount, 0, 1));
  if (process.states > 4096) return base::make_error(base::Code::kLimit, "reachability_matrix: more than 4,096 states");
  const auto n = static_cast<std::ptrdiff_t>(process.states);
  MatrixD reach = MatrixD::Identity(n, n);
  MatrixD next = reach;
  std::vector<double> row(process.states);
  for (double change = 1; change > 1e-12;) {
    change = 0;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      double* best = next.row(s).data();
      std::fill(best, best + n, 0.0);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        std::fill(row.begin(), row.end(), 0.0);
        for (std::uint64_t i = process.first[process.pair(s, a)]; i < process.first[process.pair(s, a) + 1]; ++i) {
          if (process.next[i] == process.end()) continue;
          const double* from = reach.row(process.next[i]).data();
          const double p = process.probability[i] * discount;
          for (std::size_t x = 0; x < row.size(); ++x) row[x] += p * from[x];
        }
        for (std::size_t x = 0; x < row.size(); ++x) best[x] = std::max(best[x], row[x]);
      }
      best[s] = 1;
      const double* old = reach.row(s).data();
      for (std::ptrdiff_t x = 0; x < n; ++x) change = std::max(change, std::abs(best[x] - old[x]));
    }
    std::swap(reach, next);
  }
  return reach;
}

base::Result<PenaltyTable> reachability_penalty(const Process& process, const ReachabilityOptions& options) {
  PL_CHECK(world::validate(process));
  PL_CHECK(check_against(process, options.against));
  PenaltyTable table = empty_table(process, options.against);
  // Each comparison of states once.
  std::vector<Comparison> comparisons;
  std::unordered_map<std::uint64_t, std::size_t> index;
  const auto place = [&](std::uint32_t from, std::uint32_t to) {
    const auto [it, fresh] = index.try_emplace((std::uint64_t{from} << 32U) | to, comparisons.size());
    if (fresh) comparisons.push_back({from, to});
    return it->second;
  };
  struct Term {
    std::size_t entry;
    std::size_t comparison;
    double weight;
  };
  std::vector<Term> terms;
  each_comparison(process, options.against, table.steps,
                  [&](int t, std::size_t pair, const Places& base, const Places& here, double weight) {
                    const std::size_t entry = static_cast<std::size_t>(t) * table.pairs + pair;
                    for (const auto& [b, p] : base) {
                      for (const auto& [h, q] : here) {
                        if (b == h) continue;
                        terms.push_back({entry, place(b, h), weight * p * q});
                        if (!options.decrease_only) terms.push_back({entry, place(h, b), weight * p * q});
                      }
                    }
                  });
  std::vector<double> lost;
  if (without_chance(process)) {
    PL_TRY(lost, relative_reachability(process, comparisons, options.discount));
  } else {
    PL_TRY(const MatrixD reach, reachability_matrix(process, options.discount));
    for (const Comparison& c : comparisons) {
      double sum = 0;
      for (std::ptrdiff_t x = 0; x < reach.cols(); ++x) sum += std::max(reach(c.from, x) - reach(c.to, x), 0.0);
      lost.push_back(sum / process.states);
    }
  }
  for (const Term& term : terms) table.penalty[term.entry] += term.weight * lost[term.comparison];
  return table;
}

MatrixD random_auxiliary(const Process& process, int count, base::Rng& rng) {
  MatrixD rewards(count, process.states);
  for (std::ptrdiff_t i = 0; i < rewards.rows(); ++i) {
    for (std::ptrdiff_t s = 0; s < rewards.cols(); ++s) rewards(i, s) = rng.uniform();
  }
  return rewards;
}

namespace {

base::Status check_auxiliary(const Process& process, const MatrixD& auxiliary) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("utility_penalty", "auxiliary", auxiliary.rows(), 1));
  PL_CHECK(base::check_size("utility_penalty", "columns of auxiliary", auxiliary.cols(), process.states));
  return base::check_all_finite("utility_penalty", "auxiliary",
                                std::span(auxiliary.data(), static_cast<std::size_t>(auxiliary.size())));
}

}  // namespace

base::Result<std::vector<double>> attainable_values(const Process& process, const MatrixD& auxiliary, double discount,
                                                    double tolerance) {
  PL_CHECK(check_auxiliary(process, auxiliary));
  PL_CHECK(base::check_in_open("utility_penalty", "discount", discount, 0, 1));
  PL_CHECK(base::check_positive("utility_penalty", "tolerance", tolerance));

  // Optimal values of all auxiliary rewards side by side: value[s][i].
  const auto m = static_cast<std::size_t>(auxiliary.rows());
  std::vector<double> value((std::size_t{process.states} + 1) * m, 0.0);
  std::vector<double> best(m);
  std::vector<double> q(m);
  const double factor = discount / (1 - discount);
  double scale_of_values = 1;
  for (double change = 1; change * factor > tolerance && change > 4e-16 * scale_of_values;) {
    change = 0;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        std::fill(q.begin(), q.end(), 0.0);
        for (std::uint64_t j = process.first[process.pair(s, a)]; j < process.first[process.pair(s, a) + 1]; ++j) {
          const double p = process.probability[j];
          const double* next = value.data() + process.next[j] * m;
          for (std::size_t i = 0; i < m; ++i) q[i] += p * next[i];
        }
        for (std::size_t i = 0; i < m; ++i) best[i] = a == 0 ? q[i] : std::max(best[i], q[i]);
      }
      double* own = value.data() + s * m;
      for (std::size_t i = 0; i < m; ++i) {
        const double v = auxiliary(static_cast<std::ptrdiff_t>(i), s) + discount * best[i];
        change = std::max(change, std::abs(v - own[i]));
        scale_of_values = std::max(scale_of_values, std::abs(v));
        own[i] = v;
      }
    }
  }
  return value;
}

base::Result<PenaltyTable> utility_penalty(const Process& process, const MatrixD& auxiliary,
                                           const UtilityOptions& options) {
  PL_CHECK(world::validate(process));
  PL_CHECK(check_against(process, options.against));
  PL_TRY(const std::vector<double> values, attainable_values(process, auxiliary, options.discount, options.tolerance));
  return utility_penalty(process, auxiliary, options, values);
}

base::Result<PenaltyTable> utility_penalty(const Process& process, const MatrixD& auxiliary,
                                           const UtilityOptions& options, std::span<const double> value) {
  PL_CHECK(check_auxiliary(process, auxiliary));
  PL_CHECK(check_against(process, options.against));
  PL_CHECK(base::check_in_open("utility_penalty", "discount", options.discount, 0, 1));
  const auto m = static_cast<std::size_t>(auxiliary.rows());
  PL_CHECK(base::check_size("utility_penalty", "values", std::ssize(value),
                            static_cast<std::ptrdiff_t>((std::size_t{process.states} + 1) * m)));

  // Q(s, a) = r(s) + discount E V(s'); the first term is common to both sides of a stepwise comparison and is counted
  // as what it is where the baselines stand elsewhere.
  PenaltyTable table = empty_table(process, options.against);
  const Places start = start_of(process);
  const auto reward_at = [&](const Places& places, std::size_t i) {
    double sum = 0;
    for (const auto& [s, p] : places) sum += p * auxiliary(static_cast<std::ptrdiff_t>(i), s);
    return sum;
  };
  const auto value_at = [&](const Places& places, std::size_t i) {
    double sum = 0;
    for (const auto& [s, p] : places) sum += p * value[s * m + i];
    return sum;
  };
  const bool elsewhere = options.against.baseline != Baseline::kStepwise && options.against.rollout == 0;
  // Doing nothing at the baseline: from the start, or from where doing nothing has led by time t.
  std::vector<Places> stands;
  Places idle = start;
  for (int t = 0; t < table.steps; ++t) {
    stands.push_back(idle);
    idle = after_all(process, idle, options.against.noop);
  }
  each_comparison(process, options.against, table.steps,
                  [&](int t, std::size_t pair, const Places& base, const Places& here, double weight) {
                    const auto s = static_cast<std::uint32_t>(pair / process.actions);
                    const Places& stand =
                        options.against.baseline == Baseline::kStart ? start : stands[static_cast<std::size_t>(t)];
                    const Places first_idle = options.against.baseline == Baseline::kStart
                                                  ? after_all(process, start, options.against.noop)
                                                  : Places{};
                    double sum = 0;
                    double still = 0;
                    for (std::size_t i = 0; i < m; ++i) {
                      const Places& compared = options.against.baseline == Baseline::kStart ? first_idle : base;
                      double from = options.discount * value_at(compared, i);
                      double to = options.discount * value_at(here, i);
                      if (elsewhere) {
                        from += reward_at(stand, i);
                        to += auxiliary(static_cast<std::ptrdiff_t>(i), s);
                      }
                      sum += options.decrease_only ? std::max(from - to, 0.0) : std::abs(from - to);
                      still += from + (elsewhere ? 0 : auxiliary(static_cast<std::ptrdiff_t>(i), s));
                    }
                    if (options.scale == UtilityScale::kNoop) {
                      sum = still > 0 ? sum / still : 0;
                    } else {
                      sum /= static_cast<double>(m);
                    }
                    table.penalty[static_cast<std::size_t>(t) * table.pairs + pair] += weight * sum;
                  });
  // Ending the episode costs nothing.
  for (int t = 0; t < table.steps; ++t) {
    for (std::size_t pair = 0; pair < table.pairs; ++pair) {
      bool goes_on = false;
      for (std::uint64_t j = process.first[pair]; j < process.first[pair + 1]; ++j)
        goes_on = goes_on || process.next[j] != process.end();
      if (!goes_on) table.penalty[static_cast<std::size_t>(t) * table.pairs + pair] = 0;
    }
  }
  return table;
}

base::Result<world::Plan> plan_with_penalty(const Process& process, std::span<const double> reward,
                                            const PenaltyTable& table, double weight) {
  PL_CHECK(world::validate_reward(process, reward));
  PL_CHECK(base::check_at_least("plan_with_penalty", "horizon", process.horizon, 1));
  PL_CHECK(base::check_in("plan_with_penalty", "weight", weight, 0, 1e300));
  PL_CHECK(base::check_size("plan_with_penalty", "pairs of the table", static_cast<std::ptrdiff_t>(table.pairs),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  if (table.steps != 1)
    PL_CHECK(base::check_size("plan_with_penalty", "steps of the table", table.steps, process.horizon));
  world::Plan plan;
  plan.iterations = process.horizon;
  plan.policy = {process.states, process.actions, process.horizon,
                 std::vector<double>(process.pairs() * static_cast<std::size_t>(process.horizon), 0.0)};
  plan.value.assign(process.states + 1, 0.0);
  std::vector<double> earlier(process.states + 1, 0.0);
  for (int t = process.horizon - 1; t >= 0; --t) {
    const std::span<const double> penalty = table.at(t);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      double top = 0;
      std::uint32_t choice = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        double q = reward[pair] - weight * penalty[pair];
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          q += process.probability[i] * plan.value[process.next[i]];
        }
        if (a == 0 || q > top) {
          top = q;
          choice = a;
        }
      }
      earlier[s] = top;
      plan.policy.probability[static_cast<std::size_t>(t) * process.pairs() + process.pair(s, choice)] = 1;
    }
    std::swap(plan.value, earlier);
  }
  for (std::uint32_t s = 0; s < process.states; ++s) plan.start += process.initial[s] * plan.value[s];
  return plan;
}

base::Result<double> expected_penalty(const Process& process, const PenaltyTable& table,
                                      const world::TabularPolicy& policy) {
  PL_CHECK(world::validate_policy(process, policy));
  PL_CHECK(base::check_at_least("expected_penalty", "horizon", process.horizon, 1));
  PL_CHECK(base::check_size("expected_penalty", "pairs of the table", static_cast<std::ptrdiff_t>(table.pairs),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  if (table.steps != 1)
    PL_CHECK(base::check_size("expected_penalty", "steps of the table", table.steps, process.horizon));
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> earlier(process.states + 1, 0.0);
  for (int t = process.horizon - 1; t >= 0; --t) {
    const std::span<const double> penalty = table.at(t);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::span<const double> choice = policy.at(t, s);
      double sum = 0;
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (choice[a] == 0) continue;
        const std::size_t pair = process.pair(s, a);
        double q = penalty[pair];
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
          q += process.probability[i] * value[process.next[i]];
        sum += choice[a] * q;
      }
      earlier[s] = sum;
    }
    std::swap(value, earlier);
  }
  double start = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) start += process.initial[s] * value[s];
  return start;
}

base::Result<CarefulPlan> least_penalty(const Process& process, std::span<const double> reward,
                                        const PenaltyTable& table, double floor) {
  PL_CHECK(base::check_finite("least_penalty", "floor", floor));
  struct Corner {
    world::TabularPolicy policy;
    double reward;
    double penalty;
  };
  CarefulPlan plan;
  // The best of factor * reward - weight * penalty.
  const auto corner = [&](double factor, double weight) -> base::Result<Corner> {
    std::vector<double> scaled(reward.begin(), reward.end());
    for (double& r : scaled) r *= factor;
    PL_TRY(world::Plan best, plan_with_penalty(process, scaled, table, weight));
    ++plan.rounds;
    Corner found{std::move(best.policy), 0, 0};
    PL_TRY(found.reward, world::policy_return(process, reward, found.policy));
    PL_TRY(found.penalty, expected_penalty(process, table, found.policy));
    return found;
  };
  PL_TRY(Corner rich, corner(1, 0));
  PL_TRY(Corner careful, corner(0, 1));
  const double slack = 1e-9 * std::max(1.0, std::abs(rich.reward));
  if (floor > rich.reward + slack) {
    return base::make_error(base::Code::kValue, "least_penalty: floor = " + std::to_string(floor) +
                                                    ", no policy earns more than " + std::to_string(rich.reward));
  }
  const auto settle = [&](Corner& chosen, double penalty) {
    plan.penalty = std::max(0.0, penalty);
    plan.policy_penalty = chosen.penalty;
    plan.policy_return = chosen.reward;
    plan.policy = std::move(chosen.policy);
    return plan;
  };
  constexpr int kMostRounds = 1000;
  while (careful.reward < floor - slack && plan.rounds < kMostRounds) {
    const double run = rich.reward - careful.reward;
    const double rise = rich.penalty - careful.penalty;
    const double size = std::max(run, rise);
    PL_TRY(Corner beyond, corner(rise / size, run / size));
    const double gained = (rise * (beyond.reward - rich.reward) - run * (beyond.penalty - rich.penalty)) / size;
    if (gained <= slack) {
      const double share = std::clamp((floor - careful.reward) / run, 0.0, 1.0);
      return settle(rich, careful.penalty + share * rise);
    }
    (beyond.reward >= floor - slack ? rich : careful) = std::move(beyond);
  }
  base::ensure(plan.rounds < kMostRounds, "least_penalty: the polygon has too many corners");
  return settle(careful, careful.penalty);
}

}  // namespace plumbline::reward
