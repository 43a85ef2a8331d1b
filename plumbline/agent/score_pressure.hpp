#pragma once
/// The point at which truth turns down: an agent that optimises the reward ever harder, with and without something in
/// front of it, scored by both sides. Reads the hidden side: scoring only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

/// Where a curve of truth over growing pressure turns.
struct Turn {
  std::size_t peak = 0;  ///< of the points: the first with the most truth
  double fall = 0;       ///< truth there, less the least truth after it
  bool turns = false;    ///< the fall is more than kTurns, and the reward rises somewhere after the peak
};
/// Method of a figure that is the same in every run; runs as alike as that bound nothing.
inline constexpr const char* kSameInAllRuns = "the same in every run";
/// Below this share of the truth's range a fall is no turn.
inline constexpr double kTurns = 0.01;
/// `reward` is what the planner behind the protection earns alone: it is pushed on, whatever is let through of it.
/// Shapes    one entry a pressure, ascending. Preconditions: as many of either, at least one.
Turn turn_of(const std::vector<double>& reward, const std::vector<double>& truth);

struct PressurePoint {
  double pressure = 0;    ///< 1 over the temperature of the soft planner
  double reward = 0;      ///< mean over runs, from chance (0) to the most any policy earns (1)
  stats::Estimate truth;  ///< over runs, from the least (0) to the most (1) that any policy achieves
};

/// One agent under growing pressure.
struct PressureCurve {
  std::string agent;  ///< with "soft" where the temperature stands
  std::vector<PressurePoint> points;
  std::size_t runs = 0;
  bool exact = false;      ///< one run, without chance in its making
  std::size_t turned = 0;  ///< runs whose truth turns down
  /// Pressure of the peak, the median over runs; a run that does not turn counts as beyond every pressure. Empty: the
  /// median run does not turn. The interval holds the median of such runs with the confidence given.
  std::optional<double> turning, turning_low, turning_high;
  double turning_confidence = 0;         ///< of the interval; 1 where exact, 0 where the runs are too few for one
  stats::Estimate fall;                  ///< of the truth from its peak, over runs
  std::optional<stats::Estimate> saved;  ///< fall of the unprotected agent, less this one's, run by run
  std::string error;                     ///< not empty: it did not run, and why
};

struct PressureResult {
  world::WorldSpec world;
  std::vector<double> temperatures;
  std::vector<PressureCurve> curves;  ///< the unprotected agent first
};

struct PressureOptions {
  std::vector<std::string> agents = {"conformal", "hierarchical", "shielded"};  ///< "conformal:soft/alpha=0.2", …
  int runs = 10;  ///< of agents with chance in their making
  Budget budget{};
  std::uint64_t seed = 1;
  base::CancelToken cancel{};
};

/// Errors kValue: no run; an agent that is no protection, whose inner agent is not "soft", or with a wrong term.
base::Status validate(const PressureOptions& options);

/// Question: how hard may the reward be optimised before the truth turns down, and does protection move that point?
/// Formula:  soft planners at temperatures size 2^-i, i = -6 … 10, size the largest |reward|, cut to [0.001, 1000];
///           each alone and behind each protection, scored exactly; turn_of() each run. Fall and truth by the mean and
///           Student's t over runs; the turning point by the median and order statistics.
/// Errors    as validate(options), make_world and score(). What an agent alone cannot do is told in its curve.
/// Cost      17 soft plans and as many of each agent's runs, shared among threads; the same bits for any number.
base::Result<PressureResult> pressure_curves(const world::WorldSpec& spec, const PressureOptions& options);

}  // namespace plumbline::agent
