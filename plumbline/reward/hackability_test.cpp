// Hackability: by enumeration, by linear program and by a second route; ORPO's optimum and its bound, exactly.

#include "plumbline/reward/hackability.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

using ::testing::HasSubstr;
using world::Process;
using world::TabularPolicy;

Process random_process(base::Rng& rng, std::uint32_t states = 3, int horizon = 4) {
  world::ProcessBuilder builder(states, 2, horizon);
  builder.start(0, 1);
  for (std::uint32_t s = 0; s < states; ++s) {
    for (std::uint32_t a = 0; a < 2; ++a) {
      const double p = rng.uniform();
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states)), p);
      builder.add(s, a, static_cast<std::uint32_t>(rng.below(states + 1)), 1 - p);
    }
  }
  return std::move(builder).finish().value();
}

std::vector<double> random_reward(base::Rng& rng, std::size_t pairs) {
  std::vector<double> reward(pairs);
  for (double& r : reward) r = rng.normal();
  return reward;
}

TEST(Hackability, FinitePolicySets) {
  // Skalse et al.'s cleaning robot: counting rooms swept is hackable against their worth unless the list is ordered
  // alike.
  const PairWitness found = is_hackable(std::array{1.0, 2.0, 3.0}, std::array{1.0, 5.0, 3.0}).value();
  EXPECT_EQ(found.verdict, Hackability::kHackable);
  EXPECT_EQ(found.before, 1U);
  EXPECT_EQ(found.after, 2U);
  EXPECT_NEAR(found.true_loss, 2, 1e-12);
  EXPECT_EQ(is_hackable(std::array{1.0, 2.0, 3.0}, std::array{1.0, 1.0, 3.0})->verdict, Hackability::kUnhackable)
      << "ties are not opposed";
  EXPECT_EQ(is_hackable(std::array{1.0, 1.0}, std::array{1.0, 5.0})->verdict, Hackability::kTrivial);
}

/// max over lambda's opposite: the largest share is the least, over mixtures l, of the range of l r1 / w1 - (1 - l) r2
/// / w2.
double share_by_mixture(const Process& process, const std::vector<double>& proxy, const std::vector<double>& truth) {
  const auto range = [&](const std::vector<double>& r) {
    std::vector<double> negative = r;
    for (double& x : negative) x = -x;
    return world::finite_horizon(process, r)->start + world::finite_horizon(process, negative)->start;
  };
  const double w1 = range(proxy);
  const double w2 = range(truth);
  const auto at = [&](double l) {
    std::vector<double> mixed(proxy.size());
    for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = l * proxy[i] / w1 - (1 - l) * truth[i] / w2;
    return range(mixed);
  };
  double low = 0;
  double high = 1;
  for (int i = 0; i < 200; ++i) {  // convex in l
    const double a = low + (high - low) * 0.382;
    const double b = low + (high - low) * 0.618;
    if (at(a) < at(b))
      high = b;
    else
      low = a;
  }
  return at((low + high) / 2);
}

TEST(Hackability, ProgramAndMixturesOfRewardsAgree) {
  base::Rng rng(1, {"hackability"});
  for (int trial = 0; trial < 20; ++trial) {
    const Process process = random_process(rng);
    const std::vector<double> proxy = random_reward(rng, process.pairs());
    const std::vector<double> truth = random_reward(rng, process.pairs());
    const PolicyWitness found = is_hackable(process, proxy, truth).value();
    EXPECT_NEAR(found.share, share_by_mixture(process, proxy, truth), 1e-7) << trial;
    EXPECT_LT(found.gap, 1e-8);
    if (found.verdict != Hackability::kHackable) continue;
    // The witness is one.
    const auto gain = [&](const std::vector<double>& r) {
      return world::policy_return(process, r, *found.after).value() -
             world::policy_return(process, r, *found.before).value();
    };
    EXPECT_NEAR(gain(proxy), found.proxy_gain, 1e-9);
    EXPECT_NEAR(gain(truth), -found.true_loss, 1e-9);
    EXPECT_GT(found.proxy_gain, 0);
    EXPECT_GT(found.true_loss, 0);
  }
}

/// What a policy brings, path by path in extended precision.
long double by_paths(const Process& process, const std::vector<double>& reward, const TabularPolicy& policy, int t = 0,
                     std::uint32_t s = 0) {
  if (t == process.horizon || s == process.end()) return 0;
  long double sum = 0;
  for (std::uint32_t a = 0; a < 2; ++a) {
    if (policy.at(t, s)[a] == 0) continue;
    const std::size_t pair = process.pair(s, a);
    long double q = reward[pair];
    for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i)
      q += static_cast<long double>(process.probability[i]) * by_paths(process, reward, policy, t + 1, process.next[i]);
    sum += static_cast<long double>(policy.at(t, s)[a]) * q;
  }
  return sum;
}

/// A deterministic policy of several steps: bit t * states + s of `choices` is what it does.
TabularPolicy policy_of(const Process& process, std::uint64_t choices) {
  const auto rows = static_cast<unsigned>(process.horizon) * process.states;
  TabularPolicy policy{process.states, 2, process.horizon, std::vector<double>(2 * std::size_t{rows}, 0.0)};
  for (unsigned row = 0; row < rows; ++row) policy.probability[2 * row + ((choices >> row) & 1U)] = 1;
  return policy;
}

// The bound holds for every policy, and is near enough to be of use: some error comes within a factor of 1,000.
TEST(Hackability, ReturnsRoundWithinTheirBound) {
  base::Rng rng(6, {"hackability"});
  double nearest = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const Process process = random_process(rng, 3, 6);
    const std::vector<double> reward = random_reward(rng, process.pairs());
    const double bound = world::rounding_bound(process, reward).value();
    EXPECT_LT(bound, 1e-12);
    for (int i = 0; i < 20; ++i) {
      const TabularPolicy policy = policy_of(process, rng.bits());
      const long double exact = by_paths(process, reward, policy);
      const double computed = world::policy_return(process, reward, policy).value();
      const auto error = static_cast<double>(std::abs(computed - exact));
      EXPECT_LE(error, bound);
      nearest = std::max(nearest, error / bound);
    }
  }
  EXPECT_GT(nearest, 1e-3);
  const Process process = random_process(rng, 3, 6);
  EXPECT_EQ(world::rounding_bound(process, std::vector<double>(process.pairs(), 0.0)).value(), 0);
  EXPECT_EQ(world::rounding_bound(process, std::vector<double>(2)).error().code, base::Code::kShape);
}

struct Point {
  long double x;
  long double y;
};

/// The corners of the convex hull, by Andrew's chain.
std::vector<Point> hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  std::vector<Point> corners;
  for (const int side : {0, 1}) {
    const std::size_t base = corners.size();
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Point& p = side == 0 ? points[i] : points[points.size() - 1 - i];
      while (corners.size() >= base + 2) {
        const Point& a = corners[corners.size() - 2];
        const Point& b = corners.back();
        if ((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x) > 0) break;
        corners.pop_back();
      }
      corners.push_back(p);
    }
    corners.pop_back();
  }
  return corners;
}

/// The largest smaller share of any two policies, mixed ones included: what they bring is the convex hull of what the
/// deterministic ones bring, and differences fill the hull of its corners' differences.
long double share_by_enumeration(const Process& process, const std::vector<double>& proxy,
                                 const std::vector<double>& truth) {
  std::vector<Point> all;
  const std::uint64_t policies = std::uint64_t{1} << (static_cast<unsigned>(process.horizon) * process.states);
  for (std::uint64_t choices = 0; choices < policies; ++choices) {
    const TabularPolicy policy = policy_of(process, choices);
    all.push_back({by_paths(process, proxy, policy), by_paths(process, truth, policy)});
  }
  const std::vector<Point> corners = hull(std::move(all));
  const auto [low_x, high_x] =
      std::minmax_element(corners.begin(), corners.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
  const auto [low_y, high_y] =
      std::minmax_element(corners.begin(), corners.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
  const long double wide = high_x->x - low_x->x;
  const long double high = high_y->y - low_y->y;
  std::vector<Point> pairs;  // (gain, loss), in shares
  for (const Point& a : corners) {
    for (const Point& b : corners) pairs.push_back({(b.x - a.x) / wide, (a.y - b.y) / high});
  }
  long double best = 0;
  for (const Point& p : pairs) {
    for (const Point& q : pairs) {  // where the way from p to q crosses gain = loss, or its better end
      best = std::max({best, std::min(p.x, p.y), std::min(q.x, q.y)});
      const long double at_p = p.x - p.y;
      const long double at_q = q.x - q.y;
      if ((at_p < 0) == (at_q < 0)) continue;
      const long double s = at_p / (at_p - at_q);
      best = std::max(best, p.x + s * (q.x - p.x));
    }
  }
  return best;
}

TEST(Hackability, ErrorBoundsHoldAgainstEnumeration) {
  base::Rng rng(7, {"hackability"});
  int hackable = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const Process process = random_process(rng, 3, 3);
    const std::vector<double> truth = random_reward(rng, process.pairs());
    std::vector<double> proxy = random_reward(rng, process.pairs());
    if (trial % 4 == 0) {  // the same order
      for (std::size_t i = 0; i < proxy.size(); ++i) proxy[i] = 3 * truth[i];
    }
    const PolicyWitness found = is_hackable(process, proxy, truth).value();
    const long double share = share_by_enumeration(process, proxy, truth);
    EXPECT_LE(static_cast<double>(std::abs(share - found.share)), found.gap) << trial;
    EXPECT_LT(found.gap, 1e-9) << trial;
    EXPECT_EQ(found.verdict == Hackability::kHackable, share > 1e-7) << trial;
    if (found.verdict != Hackability::kHackable) continue;
    ++hackable;
    const long double gain = by_paths(process, proxy, *found.after) - by_paths(process, proxy, *found.before);
    const long double loss = by_paths(process, truth, *found.before) - by_paths(process, truth, *found.after);
    EXPECT_LE(static_cast<double>(std::abs(gain - found.proxy_gain)), found.gain_error);
    EXPECT_LE(static_cast<double>(std::abs(loss - found.true_loss)), found.loss_error);
    EXPECT_GT(found.gain_error, 0);
    EXPECT_LT(found.gain_error, 1e-12);
    EXPECT_LT(found.loss_error, 1e-12);
  }
  EXPECT_GE(hackable, 10) << "of 15 whose orders were drawn";
}

TEST(Hackability, OnlyEquivalentRewardsCannotBeHacked) {
  base::Rng rng(2, {"hackability"});
  for (int trial = 0; trial < 10; ++trial) {
    const Process process = random_process(rng);
    const std::vector<double> truth = random_reward(rng, process.pairs());
    std::vector<double> scaled = truth;
    for (double& r : scaled) r *= 3;
    EXPECT_EQ(is_hackable(process, scaled, truth)->verdict, Hackability::kUnhackable);
    // Shaping by a potential that ends at 0 changes no order: the horizon is fixed and this process may end early, so
    // use a constant instead.
    std::vector<double> none(process.pairs(), 0.0);
    EXPECT_EQ(is_hackable(process, none, truth)->verdict, Hackability::kTrivial);
    std::vector<double> nearly = truth;
    nearly[0] += 0.3;
    if (process.pairs() > 2) {
      EXPECT_EQ(is_hackable(process, nearly, truth)->verdict, Hackability::kHackable);
    }
    std::vector<double> opposite = truth;
    for (double& r : opposite) r = -r;
    EXPECT_NEAR(is_hackable(process, opposite, truth)->share, 1, 1e-9);
  }
}

TEST(Hackability, BoundOnTheTruthHoldsForEveryPolicy) {
  base::Rng rng(3, {"hackability"});
  int binding = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Process process = random_process(rng);
    const std::vector<double> truth = random_reward(rng, process.pairs());
    std::vector<double> proxy = random_reward(rng, process.pairs());
    for (std::size_t i = 0; i < proxy.size(); ++i) proxy[i] = truth[i] + 0.4 * proxy[i];
    const TabularPolicy reference = world::uniform_policy(process);
    const Correlation known = correlation_under(process, proxy, truth, reference).value();
    if (known.r <= 0) continue;
    for (int i = 0; i < 20; ++i) {
      TabularPolicy policy{process.states, 2, 1, {}};
      for (std::uint32_t s = 0; s < process.states; ++s) {
        const double p = rng.bernoulli(0.5) ? rng.uniform() : static_cast<double>(rng.below(2));
        policy.probability.insert(policy.probability.end(), {p, 1 - p});
      }
      const double chi = occupancy_divergence(process, policy, reference).value();
      const double got = world::policy_return(process, proxy, policy).value() / process.horizon;
      const double bound = true_reward_bound(known, got, chi).value();
      const double really = world::policy_return(process, truth, policy).value() / process.horizon;
      EXPECT_GE(really, bound - 1e-9);
      binding += really - bound < 0.1 * known.true_deviation ? 1 : 0;
    }
  }
  EXPECT_GT(binding, 20) << "a bound that is never near says little";
}

TEST(Hackability, RegularisedOptimumIsCertified) {
  base::Rng rng(4, {"hackability"});
  for (int trial = 0; trial < 10; ++trial) {
    const Process process = random_process(rng, 3, 3);
    const std::vector<double> proxy = random_reward(rng, process.pairs());
    const TabularPolicy reference = world::uniform_policy(process);
    double last_chi = 1e300;
    double last_proxy = 1e300;
    for (const double lambda : {0.01, 0.1, 0.3}) {
      const RegularisedPlan plan = plan_regularised(process, proxy, reference, lambda, 1e-6).value();
      // At the reference itself the root has a corner, and the certificate is looser there.
      EXPECT_LT(plan.gap, plan.chi_squared > 1e-3 ? 2e-4 : 1e-2)
          << trial << " at " << lambda << " after " << plan.rounds;
      EXPECT_NEAR(occupancy_divergence(process, plan.policy, reference).value(), plan.chi_squared, 1e-6);
      EXPECT_NEAR(world::policy_return(process, proxy, plan.policy).value() / process.horizon, plan.proxy, 1e-9);
      EXPECT_LE(plan.chi_squared, last_chi + 1e-3) << "a dearer distance is a shorter one";
      EXPECT_LE(plan.proxy, last_proxy + 1e-3);
      last_chi = plan.chi_squared;
      last_proxy = plan.proxy;
      // No random policy is better.
      for (int i = 0; i < 100; ++i) {
        TabularPolicy policy{process.states, 2, 1, {}};
        for (std::uint32_t s = 0; s < process.states; ++s) {
          const double p = rng.uniform();
          policy.probability.insert(policy.probability.end(), {p, 1 - p});
        }
        const double value = world::policy_return(process, proxy, policy).value() / process.horizon -
                             lambda * std::sqrt(occupancy_divergence(process, policy, reference).value());
        EXPECT_LE(value, plan.objective + plan.gap + 1e-9);
      }
    }
  }
}

TEST(Hackability, RefusesNonsense) {
  base::Rng rng(5, {"hackability"});
  const Process process = random_process(rng);
  const std::vector<double> reward = random_reward(rng, process.pairs());
  EXPECT_EQ(is_hackable(std::array{1.0}, std::array{1.0, 2.0}).error().code, base::Code::kShape);
  EXPECT_THAT(is_hackable(std::array{std::nan("")}, std::array{1.0}).error().text(), HasSubstr("proxy"));
  EXPECT_EQ(is_hackable(process, reward, std::vector<double>(2)).error().code, base::Code::kShape);
  EXPECT_THAT(is_hackable(process, reward, reward, -1).error().text(), HasSubstr("tolerance"));
  const TabularPolicy uniform = world::uniform_policy(process);
  EXPECT_THAT(plan_regularised(process, reward, uniform, 0).error().text(), HasSubstr("lambda"));
  const TabularPolicy narrow = world::deterministic_policy(process, std::vector<std::int32_t>(3, 0)).value();
  EXPECT_THAT(plan_regularised(process, reward, narrow, 1).error().text(),
              HasSubstr("action 1: the reference never takes"));
  Correlation known = correlation_under(process, reward, reward, uniform).value();
  EXPECT_NEAR(known.r, 1, 1e-12);
  known.r = -0.5;
  EXPECT_THAT(true_reward_bound(known, 0, 0).error().text(), HasSubstr("r "));
}

}  // namespace
}  // namespace plumbline::reward
