#include "plumbline/world/limited_planning.hpp"

#include <algorithm>

#include "plumbline/base/guard.hpp"

namespace plumbline::world {
namespace {

constexpr double kSame = 1e-9;

}  // namespace

base::Result<Plan> receding_horizon(const Process& process, std::span<const double> reward, int depth,
                                    double discount) {
  PL_CHECK(validate_reward(process, reward));
  PL_CHECK(base::check_at_least("receding_horizon", "horizon", process.horizon, 1));
  PL_CHECK(base::check_at_least("receding_horizon", "depth", depth, 1));
  PL_CHECK(base::check_in("receding_horizon", "discount", discount, 0, 1));
  PL_CHECK(base::check_positive("receding_horizon", "discount", discount));

  const std::size_t pairs = process.pairs();
  const int horizon = process.horizon;
  const int seen = std::min(depth, horizon);
  Plan plan;
  plan.iterations = horizon;
  plan.policy = {process.states, process.actions, horizon,
                 std::vector<double>(pairs * static_cast<std::size_t>(horizon), 0.0)};
  std::vector<double>& probability = plan.policy.probability;

  // The policy with k steps to go serves the time horizon - k; the deepest serves all earlier times too.
  std::vector<double> value(process.states + 1, 0.0);
  std::vector<double> better(process.states + 1, 0.0);
  std::vector<double> q(process.actions);
  for (int k = 1; k <= seen; ++k) {
    double* rows = probability.data() + static_cast<std::size_t>(horizon - k) * pairs;
    for (std::uint32_t s = 0; s < process.states; ++s) {
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        const std::size_t pair = process.pair(s, a);
        q[a] = reward[pair] + discount * expected_next(process, pair, value);
      }
      better[s] = *std::max_element(q.begin(), q.end());
      const auto ties = std::count_if(q.begin(), q.end(), [&](double x) { return x >= better[s] - kSame; });
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (q[a] >= better[s] - kSame) rows[process.pair(s, a)] = 1.0 / static_cast<double>(ties);
      }
    }
    std::swap(value, better);
  }
  const auto deepest =
      probability.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(horizon - seen) * pairs);
  for (int t = 0; t < horizon - seen; ++t) {
    std::copy_n(deepest, pairs, probability.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(t) * pairs));
  }

  PL_TRY(plan.value, policy_values(process, reward, plan.policy));
  for (std::uint32_t s = 0; s < process.states; ++s) plan.start += process.initial[s] * plan.value[s];
  return plan;
}

base::Result<TabularPolicy> first_decisions(Process process, std::span<const double> reward, int depth,
                                            double discount) {
  process.horizon = depth;
  PL_TRY(const Plan plan, finite_horizon(process, reward, discount));
  const auto first = plan.policy.probability.begin();
  return TabularPolicy{
      process.states, process.actions, 1, {first, first + static_cast<std::ptrdiff_t>(process.pairs())}};
}

}  // namespace plumbline::world
