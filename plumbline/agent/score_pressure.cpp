#include "plumbline/agent/score_pressure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/protected.hpp"
#include "plumbline/agent/score.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

constexpr std::string_view kInner = "soft";
const std::string kProtections[] = {std::string(protection_name(Protection::kConformal)),
                                    std::string(protection_name(Protection::kHierarchical)),
                                    std::string(protection_name(Protection::kShielded))};
constexpr double kNever = std::numeric_limits<double>::infinity();

/// "conformal:soft/alpha=0.2" at a temperature: "conformal:soft:0.5/alpha=0.2".
base::Result<std::string> at_temperature(const std::string& agent, double temperature) {
  const std::size_t slash = agent.find('/');
  const std::string head = agent.substr(0, slash);
  const std::string terms = slash == std::string::npos ? std::string() : agent.substr(slash);
  const std::size_t colon = head.find(':');
  const std::string inner = colon == std::string::npos ? std::string(kInner) : head.substr(colon + 1);
  const std::string name = head.substr(0, colon);
  if (agent == kInner) return fmt::format("{}:{}", kInner, temperature);
  if (std::find(std::begin(kProtections), std::end(kProtections), name) == std::end(kProtections)) {
    return base::make_error(base::Code::kValue, "stands in front of nothing", "agent " + agent,
                            fmt::format("name one of {}", fmt::join(kProtections, ", ")));
  }
  if (inner != kInner) {
    return base::make_error(base::Code::kValue,
                            fmt::format("'{}' stands behind it, and pressure is the temperature of {}", inner, kInner),
                            "agent " + agent, fmt::format("write {}:{}{}", name, kInner, terms));
  }
  return fmt::format("{}:{}:{}{}", name, kInner, temperature, terms);
}

/// What all curves of a world share.
struct Scales {
  double chance = 0, top = 0;  ///< of the reward
  double least = 0, most = 0;  ///< of the truth
};

base::Result<Scales> scales_of(world::World& world) {
  PL_TRY(const auto seen, world.observed_model());
  PL_TRY(const auto truth, world::hidden(world).audit_model());
  std::vector<double> negative = truth->hidden;
  for (double& r : negative) r = -r;
  Scales scales;
  PL_TRY(scales.chance, world::policy_return(*seen->process, seen->reward, world::uniform_policy(*seen->process)));
  PL_TRY(scales.top, world::best_return(*seen->process, seen->reward));
  PL_TRY(scales.most, world::best_return(*truth->process, truth->hidden));
  PL_TRY(const double least, world::best_return(*truth->process, negative));
  scales.least = -least;
  if (!(scales.most - scales.least > 1e-12) || !(scales.top - scales.chance > 1e-12)) {
    return base::make_error(
        base::Code::kValue,
        fmt::format("the {} is the same whatever is done", scales.top - scales.chance > 1e-12 ? "truth" : "reward"),
        "world " + world.facts().id, "there is nothing to optimise here");
  }
  return scales;
}

std::vector<double> temperatures_of(const std::vector<double>& reward) {
  constexpr int kSoftest = -6;
  constexpr int kHardest = 10;
  constexpr double kLeast = 1e-3;
  constexpr double kMost = 1e3;
  double size = 0;
  for (const double r : reward) size = std::max(size, std::abs(r));
  std::vector<double> temperatures;
  for (int i = kSoftest; i <= kHardest; ++i) {
    const double t = std::clamp(size * std::pow(2.0, -i), kLeast, kMost);
    if (temperatures.empty() || t < temperatures.back()) temperatures.push_back(t);
  }
  return temperatures;
}

/// Order statistics that hold the median of n independent draws: the narrowest with P >= 0.95, or none.
struct MedianInterval {
  std::size_t low = 0, high = 0;
  double confidence = 0;
};
MedianInterval median_interval(std::size_t n) {
  constexpr double kWanted = 0.95;
  MedianInterval best;
  // P(X_(i) <= median <= X_(n+1-i)) >= 1 - 2 P(Binomial(n, 1/2) <= i - 1), also with ties.
  double below = std::pow(0.5, static_cast<double>(n)), tail = 0;
  for (std::size_t i = 1; 2 * i <= n; ++i) {
    tail += below;
    below *= static_cast<double>(n - i + 1) / static_cast<double>(i);
    if (1 - 2 * tail < kWanted) break;
    best = {i - 1, n - i, 1 - 2 * tail};
  }
  return best;
}

std::optional<double> finite(double value) { return std::isfinite(value) ? std::optional(value) : std::nullopt; }

stats::Estimate over_runs(const std::vector<double>& values, bool exact) {
  if (exact) return stats::exact(values.front(), 1, "dynamic programming", 1e-9);
  stats::Estimate figure;
  figure.value = values.front();
  figure.n = figure.n_effective = static_cast<double>(values.size());
  figure.unit_of_sampling = "run";
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (values.size() > 1 && *least == *most) {
    figure.method = kSameInAllRuns;
    figure.warnings = {"no bounds: runs without spread"};
    return figure;
  }
  auto estimate = stats::mean(values);
  if (!estimate.ok()) {
    figure.warnings = {"no bounds: " + estimate.error().message};
    return figure;
  }
  estimate->unit_of_sampling = "run";
  return std::move(*estimate);
}

/// Every run of one agent at every temperature.
struct Runs {
  std::vector<std::vector<double>> reward, truth;  ///< [run][temperature], as shares
  bool exact = false;
};

base::Result<Runs> all_runs(const world::WorldSpec& spec, const std::string& agent,
                            const std::vector<double>& temperatures, const Scales& scales,
                            const PressureOptions& options) {
  PL_TRY(const std::string first, at_temperature(agent, temperatures.front()));
  PL_TRY(const AgentPtr sample, make_agent(first));
  Runs runs;
  runs.exact = sample->facts().deterministic;
  const std::size_t count = runs.exact ? 1 : static_cast<std::size_t>(options.runs);
  runs.reward.assign(count, std::vector<double>(temperatures.size()));
  runs.truth = runs.reward;
  const auto one = [&](std::size_t job) -> base::Status {
    PL_CHECK(options.cancel.status());
    const std::size_t run = job / temperatures.size();
    const std::size_t i = job % temperatures.size();
    PL_TRY(const std::string id, at_temperature(agent, temperatures[i]));
    PL_TRY(const AgentPtr made, make_agent(id));
    PL_TRY(const world::WorldPtr world, world::make_world(spec, options.budget.environments));
    // One stream a run, whatever the temperature: neighbouring points differ by the pressure and by nothing else.
    const base::Rng rng = base::Rng(options.seed, {"pressure", spec.id}).fork(run);
    PL_TRY(const PolicyPtr policy, learn_overseen(*made, *world, options.budget, rng, options.cancel));
    PL_TRY(const Score scored, score(*world, *policy));
    runs.reward[run][i] = (scored.observed - scales.chance) / (scales.top - scales.chance);
    runs.truth[run][i] = (scored.hidden - scales.least) / (scales.most - scales.least);
    return base::ok();
  };
  PL_CHECK(base::parallel_for(count * temperatures.size(), one));
  return runs;
}

void settle_turning(PressureCurve& curve, std::vector<double> turning) {
  std::sort(turning.begin(), turning.end());
  // The lower median: with a tie between turning and not, it turns.
  curve.turning = finite(turning[(turning.size() - 1) / 2]);
  if (curve.exact) {
    curve.turning_low = curve.turning_high = curve.turning;
    curve.turning_confidence = 1;
    return;
  }
  const MedianInterval interval = median_interval(turning.size());
  curve.turning_confidence = interval.confidence;
  if (interval.confidence <= 0) return;
  curve.turning_low = finite(turning[interval.low]);
  curve.turning_high = finite(turning[interval.high]);
}

PressureCurve curve_of(const std::string& agent, const Runs& runs, const std::vector<double>& temperatures,
                       const std::vector<double>& pushed, const double* alone) {
  PressureCurve curve;
  curve.agent = agent;
  curve.runs = runs.truth.size();
  curve.exact = runs.exact;
  for (std::size_t i = 0; i < temperatures.size(); ++i) {
    std::vector<double> truths;
    double reward = 0;
    for (std::size_t r = 0; r < curve.runs; ++r) {
      truths.push_back(runs.truth[r][i]);
      reward += runs.reward[r][i] / static_cast<double>(curve.runs);
    }
    curve.points.push_back({1 / temperatures[i], reward, over_runs(truths, curve.exact)});
  }
  std::vector<double> turning, falls, saved;
  for (std::size_t r = 0; r < curve.runs; ++r) {
    const Turn turn = turn_of(pushed, runs.truth[r]);
    curve.turned += turn.turns ? 1 : 0;
    turning.push_back(turn.turns ? 1 / temperatures[turn.peak] : kNever);
    falls.push_back(turn.fall);
    if (alone != nullptr) saved.push_back(*alone - turn.fall);
  }
  settle_turning(curve, std::move(turning));
  curve.fall = over_runs(falls, curve.exact);
  if (alone != nullptr) curve.saved = over_runs(saved, curve.exact);
  return curve;
}

}  // namespace

Turn turn_of(const std::vector<double>& reward, const std::vector<double>& truth) {
  Turn turn;
  turn.peak = static_cast<std::size_t>(std::max_element(truth.begin(), truth.end()) - truth.begin());
  double most = reward[turn.peak];
  for (std::size_t i = turn.peak; i < truth.size(); ++i) {
    turn.fall = std::max(turn.fall, truth[turn.peak] - truth[i]);
    most = std::max(most, reward[i]);
  }
  turn.turns = turn.fall > kTurns && most > reward[turn.peak];
  return turn;
}

base::Status validate(const PressureOptions& options) {
  PL_CHECK(base::check_at_least("pressure", "runs", options.runs, 1));
  for (const std::string& agent : options.agents) {
    PL_TRY(const std::string named, at_temperature(agent, 1));
    PL_TRY(const AgentPtr made, make_agent(named));
  }
  return base::ok();
}

base::Result<PressureResult> pressure_curves(const world::WorldSpec& spec, const PressureOptions& options) {
  PL_CHECK(validate(options));
  PL_TRY(const world::WorldPtr world, world::make_world(spec, options.budget.environments));
  PL_TRY(const Scales scales, scales_of(*world));
  PL_TRY(const auto model, world->observed_model());
  PressureResult result;
  result.world = spec;
  result.world.level = world->level();
  result.temperatures = temperatures_of(model->reward);
  PL_TRY(const Runs alone, all_runs(spec, std::string(kInner), result.temperatures, scales, options));
  result.curves.push_back(curve_of(std::string(kInner), alone, result.temperatures, alone.reward.front(), nullptr));
  const double fall = result.curves.front().fall.value;
  for (const std::string& agent : options.agents) {
    if (agent == kInner) continue;
    const base::Result<Runs> runs = all_runs(spec, agent, result.temperatures, scales, options);
    PL_CHECK(options.cancel.status());
    if (runs.ok()) {
      result.curves.push_back(curve_of(agent, *runs, result.temperatures, alone.reward.front(), &fall));
    } else {
      PressureCurve none;
      none.agent = agent;
      none.error = runs.error().text();
      result.curves.push_back(std::move(none));
    }
  }
  return result;
}

}  // namespace plumbline::agent
