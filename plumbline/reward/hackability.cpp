#include "plumbline/reward/hackability.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/occupancy.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

using world::LinearProgram;
using world::LinearTerm;
using world::OccupancyPolytope;
using world::Plan;
using world::Process;
using world::TabularPolicy;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

struct Range {
  Plan most;
  Plan least;
  double width() const { return most.start + least.start; }  // least plans for the negated reward
  double scale() const { return std::max({1e-300, std::abs(most.start), std::abs(least.start)}); }
};

base::Result<Range> range_of(const Process& process, std::span<const double> reward) {
  Range range;
  PL_TRY(range.most, world::finite_horizon(process, reward));
  std::vector<double> negative(reward.begin(), reward.end());
  for (double& r : negative) r = -r;
  PL_TRY(range.least, world::finite_horizon(process, negative));
  return range;
}

/// Two rewards in units of their ranges, and what rounding does to that.
struct Shares {
  std::span<const double> proxy;
  std::span<const double> truth;
  double range_proxy = 0;
  double range_truth = 0;
  double error_proxy = 0;  ///< of a difference of two returns
  double error_truth = 0;
  /// What a wrong range adds to a share, relative.
  double relative() const {
    return std::max(error_proxy / (range_proxy - error_proxy), error_truth / (range_truth - error_truth));
  }
};

/// No pair is ranked opposite by more: the range of l proxy - (1 - l) truth, both in units of their ranges. Rounding of
/// that range is added.
base::Result<double> most_opposed(const Process& process, const Shares& in, double l) {
  std::vector<double> mixed(in.proxy.size());
  double largest = 0;
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    const double first = l * in.proxy[i] / in.range_proxy;
    const double second = (1 - l) * in.truth[i] / in.range_truth;
    mixed[i] = first - second;
    largest = std::max(largest, std::abs(first) + std::abs(second));
  }
  PL_TRY(const Range range, range_of(process, mixed));
  PL_TRY(const double rounding, world::rounding_bound(process, mixed));
  // Four roundings made each entry; two returns differ by twice that over the horizon.
  const double entries = 8 * std::numeric_limits<double>::epsilon() / 2 * largest * process.horizon;
  return std::max(0.0, range.width()) + 2 * rounding + entries;
}

/// Occupancy as a probability: pairs first, then the end.
base::Result<std::vector<double>> distribution_of(const Process& process, const TabularPolicy& policy) {
  PL_TRY(std::vector<double> mu, world::occupancy(process, policy));
  double sum = 0;
  for (double& m : mu) {
    m /= process.horizon;
    sum += m;
  }
  mu.push_back(std::max(0.0, 1 - sum));
  return mu;
}

double divergence(std::span<const double> mu, std::span<const double> reference) {
  double sum = 0;
  for (std::size_t i = 0; i < mu.size(); ++i) {
    const double d = mu[i] - reference[i];
    if (reference[i] > 0)
      sum += d * d / reference[i];
    else if (mu[i] > 1e-15)
      return kInfinity;
  }
  return sum;
}

/// The concave objective linear - lambda sqrt(chi2), and its slope along a direction.
struct Objective {
  std::span<const double> reward;     ///< pairs; the end has none
  std::span<const double> reference;  ///< pairs and end
  double lambda;
  // The root has a corner at the reference; below this it is rounded off.
  static constexpr double kCorner = 1e-18;

  double linear(std::span<const double> mu) const { return dot(reward, mu.first(reward.size())); }
  double value(std::span<const double> mu) const { return linear(mu) - lambda * std::sqrt(divergence(mu, reference)); }
  /// Gradient, one a pair and one for the end.
  std::vector<double> gradient(std::span<const double> mu) const {
    const double root = std::sqrt(divergence(mu, reference) + kCorner);
    std::vector<double> g(mu.size(), 0.0);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (i < reward.size()) g[i] = reward[i];
      if (reference[i] > 0) g[i] -= lambda * (mu[i] - reference[i]) / (reference[i] * root);
    }
    return g;
  }
  /// The best step in [0, most] along `d`, by bisection on the slope of a concave function.
  double line(std::span<const double> mu, std::span<const double> d, double most) const {
    double a = 0;  // chi2(mu + s d) = c + 2 b s + a s^2
    double b = 0;
    double c = 0;
    for (std::size_t i = 0; i < mu.size(); ++i) {
      if (reference[i] <= 0) continue;
      a += d[i] * d[i] / reference[i];
      b += d[i] * (mu[i] - reference[i]) / reference[i];
      c += (mu[i] - reference[i]) * (mu[i] - reference[i]) / reference[i];
    }
    const double rise = linear(d);
    const auto slope = [&](double s) {
      return rise - lambda * (b + a * s) / std::sqrt(std::max(0.0, c + 2 * b * s + a * s * s) + kCorner);
    };
    if (slope(most) >= 0) return most;
    double low = 0;
    double high = most;
    for (int i = 0; i < 100 && high - low > 1e-16 * most; ++i) {
      const double middle = (low + high) / 2;
      (slope(middle) > 0 ? low : high) = middle;
    }
    return low;
  }
};

}  // namespace

base::Result<PairWitness> is_hackable(std::span<const double> proxy, std::span<const double> truth, double tolerance) {
  PL_CHECK(base::check_at_least("is_hackable", "policies", std::ssize(proxy), 1));
  PL_CHECK(base::check_size("is_hackable", "truth", std::ssize(truth), std::ssize(proxy)));
  PL_CHECK(base::check_all_finite("is_hackable", "proxy", proxy));
  PL_CHECK(base::check_all_finite("is_hackable", "truth", truth));
  PL_CHECK(base::check_in("is_hackable", "tolerance", tolerance, 0, 1));
  const auto [low1, high1] = std::minmax_element(proxy.begin(), proxy.end());
  const auto [low2, high2] = std::minmax_element(truth.begin(), truth.end());
  const double range1 = *high1 - *low1;
  const double range2 = *high2 - *low2;
  PairWitness witness;
  if (range1 == 0 || range2 == 0) {
    witness.verdict = Hackability::kTrivial;
    return witness;
  }
  double best = tolerance;
  for (std::size_t i = 0; i < proxy.size(); ++i) {
    for (std::size_t j = 0; j < proxy.size(); ++j) {
      const double share = std::min((proxy[j] - proxy[i]) / range1, (truth[i] - truth[j]) / range2);
      if (share <= best) continue;
      best = share;
      witness = {Hackability::kHackable, i, j, proxy[j] - proxy[i], truth[i] - truth[j]};
    }
  }
  return witness;
}

base::Result<PolicyWitness> is_hackable(const Process& process, std::span<const double> proxy,
                                        std::span<const double> truth, double tolerance) {
  PL_CHECK(base::check_in("is_hackable", "tolerance", tolerance, 0, 1));
  PL_TRY(const Range of_proxy, range_of(process, proxy));
  PL_TRY(const Range of_truth, range_of(process, truth));
  PolicyWitness witness;
  if (of_proxy.width() <= 1e-12 * of_proxy.scale() || of_truth.width() <= 1e-12 * of_truth.scale()) {
    witness.verdict = Hackability::kTrivial;
    return witness;
  }
  PL_TRY(const OccupancyPolytope polytope, OccupancyPolytope::finite_horizon(process));
  // Two copies of the flow: `before` first, `after` behind it.
  const LinearProgram& flow = polytope.flow();
  LinearProgram both(LinearProgram::Sense::kMaximise);
  const std::size_t n = flow.variables();
  std::vector<LinearTerm> row;
  std::vector<std::size_t> basic;
  const std::vector<std::size_t> before_basis = polytope.basis(of_truth.most.policy);
  const std::vector<std::size_t> after_basis = polytope.basis(of_proxy.most.policy);
  for (std::size_t copy = 0; copy < 2; ++copy) {
    for (std::size_t j = 0; j < n; ++j) both.add_variable();
    for (std::size_t i = 0; i < flow.rows(); ++i) {
      row.assign(flow.row(i).begin(), flow.row(i).end());
      for (LinearTerm& term : row) term.variable += copy * n;
      both.add_row(flow.row_low()[i], row, flow.row_high()[i]);
    }
    for (const std::size_t j : copy == 0 ? before_basis : after_basis) basic.push_back(j + copy * n);
  }
  const std::size_t t = both.add_variable(1, -1, 1);
  std::vector<LinearTerm> gain = {{t, -1}};
  std::vector<LinearTerm> loss = {{t, -1}};
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
    const std::size_t visit = polytope.visit(pair);
    if (visit == OccupancyPolytope::kNone) continue;
    gain.push_back({visit, -proxy[pair] / of_proxy.width()});
    gain.push_back({visit + n, proxy[pair] / of_proxy.width()});
    loss.push_back({visit, truth[pair] / of_truth.width()});
    loss.push_back({visit + n, -truth[pair] / of_truth.width()});
  }
  const std::size_t gain_row = both.add_at_least(gain, 0);
  const std::size_t loss_row = both.add_at_least(loss, 0);
  PL_TRY(const world::LinearSolution found, world::solve(both, basic));
  base::ensure(found.status == world::LinearStatus::kOptimal, "is_hackable: the program has an optimum");
  Shares shares{proxy, truth, of_proxy.width(), of_truth.width()};
  PL_TRY(const double proxy_rounding, world::rounding_bound(process, proxy));
  PL_TRY(const double truth_rounding, world::rounding_bound(process, truth));
  shares.error_proxy = 2 * proxy_rounding;
  shares.error_truth = 2 * truth_rounding;
  if (found.value > tolerance) {
    const std::span<const double> primal(found.primal);
    TabularPolicy before = polytope.policy(primal.first(n), of_truth.most.policy);
    TabularPolicy after = polytope.policy(primal.subspan(n, n), of_proxy.most.policy);
    PL_TRY(const double proxy_before, world::policy_return(process, proxy, before));
    PL_TRY(const double proxy_after, world::policy_return(process, proxy, after));
    PL_TRY(const double truth_before, world::policy_return(process, truth, before));
    PL_TRY(const double truth_after, world::policy_return(process, truth, after));
    const double gained = proxy_after - proxy_before;
    const double lost = truth_before - truth_after;
    const double share = std::min(gained / shares.range_proxy, lost / shares.range_truth);
    if (share > tolerance) {
      witness.verdict = Hackability::kHackable;
      witness.share = share;
      witness.proxy_gain = gained;
      witness.true_loss = lost;
      witness.gain_error = shares.error_proxy;
      witness.loss_error = shares.error_truth;
      witness.before = std::move(before);
      witness.after = std::move(after);
    }
  }
  const double gain_price = std::abs(found.dual[gain_row]);
  const double loss_price = std::abs(found.dual[loss_row]);
  const double sum = gain_price + loss_price;  // 0: all of both ranges is opposed, and any weight proves that
  PL_TRY(const double most, most_opposed(process, shares, sum > 0 ? gain_price / sum : 0.5));
  witness.gap = std::max(0.0, most - witness.share) + (1 + witness.share + most) * shares.relative();
  return witness;
}

base::Result<Correlation> correlation_under(const Process& process, std::span<const double> proxy,
                                            std::span<const double> truth, const TabularPolicy& reference) {
  PL_CHECK(world::validate_reward(process, proxy));
  PL_CHECK(world::validate_reward(process, truth));
  PL_TRY(const std::vector<double> mu, distribution_of(process, reference));
  Correlation known;
  for (std::size_t i = 0; i < proxy.size(); ++i) {
    known.proxy_mean += mu[i] * proxy[i];
    known.true_mean += mu[i] * truth[i];
  }
  double proxy_square = mu.back() * known.proxy_mean * known.proxy_mean;
  double true_square = mu.back() * known.true_mean * known.true_mean;
  double both = mu.back() * known.proxy_mean * known.true_mean;
  for (std::size_t i = 0; i < proxy.size(); ++i) {
    const double a = proxy[i] - known.proxy_mean;
    const double b = truth[i] - known.true_mean;
    proxy_square += mu[i] * a * a;
    true_square += mu[i] * b * b;
    both += mu[i] * a * b;
  }
  known.proxy_deviation = std::sqrt(proxy_square);
  known.true_deviation = std::sqrt(true_square);
  const double product = known.proxy_deviation * known.true_deviation;
  known.r = product > 0 ? std::clamp(both / product, -1.0, 1.0) : std::numeric_limits<double>::quiet_NaN();
  return known;
}

base::Result<double> occupancy_divergence(const Process& process, const TabularPolicy& policy,
                                          const TabularPolicy& reference) {
  PL_TRY(const std::vector<double> mu, distribution_of(process, policy));
  PL_TRY(const std::vector<double> ref, distribution_of(process, reference));
  return divergence(mu, ref);
}

base::Result<RegularisedPlan> plan_regularised(const Process& process, std::span<const double> proxy,
                                               const TabularPolicy& reference, double lambda, double tolerance,
                                               int most_rounds) {
  PL_CHECK(base::check_positive("plan_regularised", "lambda", lambda));
  PL_CHECK(base::check_positive("plan_regularised", "tolerance", tolerance));
  PL_CHECK(base::check_at_least("plan_regularised", "most_rounds", most_rounds, 1));
  PL_CHECK(world::validate_reward(process, proxy));
  PL_TRY(const OccupancyPolytope polytope, OccupancyPolytope::finite_horizon(process));
  PL_TRY(const std::vector<double> ref, distribution_of(process, reference));
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
    if (polytope.visit(pair) != OccupancyPolytope::kNone && ref[pair] <= 0) {
      return base::make_error(
          base::Code::kUnsupported, "the reference never takes an action that a policy can",
          fmt::format("plan_regularised, state {}, action {}", pair / process.actions, pair % process.actions),
          "mix the reference with a little of everything");
    }
  }
  const Objective objective{proxy, ref, lambda};
  // Vertices are policies' points; the present one is their mixture. Flows are kept, so that a policy can be read off.
  struct Vertex {
    std::vector<double> point;
    std::vector<double> mu;
    double weight;
  };
  const auto vertex_of = [&](const TabularPolicy& policy) -> base::Result<Vertex> {
    Vertex v;
    PL_TRY(v.point, polytope.point(process, policy));
    PL_TRY(v.mu, distribution_of(process, policy));
    v.weight = 0;
    return v;
  };
  // Half way to the best proxy: the root has a corner at the reference itself.
  PL_TRY(const Plan greedy, world::finite_horizon(process, proxy));
  std::vector<Vertex> vertices(2);
  PL_TRY(vertices[0], vertex_of(reference));
  PL_TRY(vertices[1], vertex_of(greedy.policy));
  vertices[0].weight = vertices[1].weight = 0.5;
  std::vector<double> mu(ref.size());
  for (std::size_t i = 0; i < mu.size(); ++i) mu[i] = (vertices[0].mu[i] + vertices[1].mu[i]) / 2;
  RegularisedPlan plan;
  plan.gap = kInfinity;
  double best_value = objective.value(mu);
  double upper = kInfinity;
  std::vector<double> direction(mu.size());
  while (plan.rounds < most_rounds && upper - best_value > tolerance) {
    ++plan.rounds;
    const std::vector<double> g = objective.gradient(mu);
    // The end's slope is a constant against which the others count.
    std::vector<double> slope(process.pairs());
    for (std::size_t i = 0; i < slope.size(); ++i) slope[i] = g[i] - g.back();
    PL_TRY(const Plan towards, world::finite_horizon(process, slope));
    PL_TRY(Vertex forward, vertex_of(towards.policy));
    const double here = dot(g, mu);
    const double there = dot(g, forward.mu);
    // A concave function lies below its tangents.
    upper = std::min(upper, objective.value(mu) + there - here);
    std::size_t away = 0;
    for (std::size_t v = 1; v < vertices.size(); ++v) {
      if (dot(g, vertices[v].mu) < dot(g, vertices[away].mu)) away = v;
    }
    const double forward_rise = there - here;
    const double away_rise = here - dot(g, vertices[away].mu);
    const bool step_away = vertices.size() > 1 && away_rise > forward_rise;
    double most = 1;
    if (step_away) {
      most = vertices[away].weight / (1 - vertices[away].weight);
      for (std::size_t i = 0; i < mu.size(); ++i) direction[i] = mu[i] - vertices[away].mu[i];
    } else {
      for (std::size_t i = 0; i < mu.size(); ++i) direction[i] = forward.mu[i] - mu[i];
    }
    const double step = objective.line(mu, direction, most);
    if (step_away) {
      for (Vertex& v : vertices) v.weight *= 1 + step;
      vertices[away].weight -= step;
      if (step >= most * (1 - 1e-12)) vertices.erase(vertices.begin() + static_cast<std::ptrdiff_t>(away));
    } else {
      for (Vertex& v : vertices) v.weight *= 1 - step;
      std::size_t same = vertices.size();
      for (std::size_t v = 0; v < vertices.size(); ++v) {
        if (vertices[v].point == forward.point) same = v;
      }
      if (same == vertices.size()) vertices.push_back(std::move(forward));
      vertices[same].weight += step;
      if (step >= 1 - 1e-12) vertices = {vertices[same]};
    }
    std::fill(mu.begin(), mu.end(), 0.0);
    for (const Vertex& v : vertices) {
      for (std::size_t i = 0; i < mu.size(); ++i) mu[i] += v.weight * v.mu[i];
    }
    best_value = std::max(best_value, objective.value(mu));
  }
  std::vector<double> point(polytope.flow().variables(), 0.0);
  for (const Vertex& v : vertices) {
    for (std::size_t i = 0; i < point.size(); ++i) point[i] += v.weight * v.point[i];
  }
  plan.policy = polytope.policy(point, reference);
  plan.objective = objective.value(mu);
  plan.gap = std::max(0.0, upper - plan.objective);
  plan.proxy = objective.linear(mu);
  plan.chi_squared = divergence(mu, ref);
  return plan;
}

base::Result<double> true_reward_bound(const Correlation& known, double proxy_mean, double chi_squared) {
  PL_CHECK(base::check_positive("true_reward_bound", "r", known.r));
  PL_CHECK(base::check_in("true_reward_bound", "r", known.r, 0, 1));
  PL_CHECK(base::check_finite("true_reward_bound", "proxy_mean", proxy_mean));
  PL_CHECK(base::check_in("true_reward_bound", "chi_squared", chi_squared, 0, kInfinity));
  PL_CHECK(base::check_positive("true_reward_bound", "proxy_deviation", known.proxy_deviation));
  const double standard = (proxy_mean - known.proxy_mean) / known.proxy_deviation;
  const double stray = known.r < 1 ? std::sqrt((1 - known.r * known.r) * chi_squared) : 0;
  return known.true_mean + known.true_deviation * (standard - stray) / known.r;
}

}  // namespace plumbline::reward
