#pragma once
/// How often the intervals of the estimators hold the truth, in the regimes that people meet.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/value.hpp"

namespace plumbline::counterfactual {

/// A bandit whose everything is known, and a log of it.
struct Regime {
  std::string name;
  std::string words;  ///< one line
  std::size_t rows = 500;
  std::size_t actions = 4;
  double explore = 0.6;     ///< share of uniform draws in the logging policy; the rest takes its favourite
  double lean = 0.5;        ///< share of the target on an action of its own; the rest uniform
  double reward_scale = 1;  ///< of the mean rewards
  bool context = true;      ///< the reward model sees the context
  double claimed = -1;      ///< the exploration that the log claims; below 0: the true one
};
/// overlap, heavy_weights, small_propensities, wrong_reward_model, wrong_propensities, rare_rewards.
const std::vector<Regime>& coverage_regimes();

enum class CellState { kCovers, kAbstains, kShort };
/// "covers", "abstains", "short".
std::string_view cell_state_name(CellState state);

struct CoverageCell {
  std::string regime;
  Estimator estimator = Estimator::kIps;
  Interval interval = Interval::kBootstrap;
  int draws = 0;
  int warned = 0;
  int abstained = 0;       ///< "cannot say"
  int bounded = 0;         ///< draws with a figure and bounds
  int covered = 0;         ///< of those, bounds that hold the exact value
  double width = 0;        ///< mean width where bounded
  double width_ratio = 0;  ///< to 2 x 1.96 standard deviations of the figure: 1 is as narrow as a right interval can be
  double bias = 0;         ///< mean of the figure minus the truth, in standard deviations of the figure
  /// covers: `covered` is not below the lower edge of Binomial(bounded, level) at a false alarm of 1e-4. abstains: at
  /// least 0.95 of the draws end in a warning or "cannot say". Else short.
  CellState state = CellState::kShort;
};
/// An interval that `plumbline estimate` prints when nothing else is asked for.
bool is_default(const CoverageCell& cell);
/// Needs neither a reward model nor resamples.
bool is_cheap(const CoverageCell& cell);

struct CoverageOptions {
  int draws = 1000;
  std::uint64_t seed = 1;
  std::size_t replicates = 1000;
  bool cheap_only = false;
  base::CancelToken cancel{};
  std::function<void(const std::string& regime, int draw)> progress{};  ///< from any thread
};

/// Question  what does each estimator with each of its intervals do in a regime, over many logs?
/// Formula   draw i is a function of seed, regime and i; all cells of a regime share its draws. Stated level 0.95.
/// Shapes    every estimator but auto with bootstrap and normal; ips and snips with likelihood; ips, clipped and shrunk
/// with
///           bernstein and anytime; auto with normal.
/// Errors    kValue: draws < 1. kCancelled. Cost draws x (two reward models + cells), in parallel. Same seed, same
/// bits.
base::Result<std::vector<CoverageCell>> measure_coverage(const Regime& regime, const CoverageOptions& options);

/// What the estimators do on three fixed draws of every regime, hashed bit by bit: changes when any of them does.
base::Result<std::string> coverage_print(const base::CancelToken& cancel);

}  // namespace plumbline::counterfactual
