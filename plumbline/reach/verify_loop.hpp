#pragma once
/// The verdict on a control loop: rollouts that may refute, tubes over a split of the initial box that may prove.

#include <cstdint>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/reach/loop.hpp"
#include "plumbline/reach/simulate.hpp"
#include "plumbline/reach/tube.hpp"

namespace plumbline::reach {

enum class LoopVerdict { kHolds, kViolated, kUnknown };
std::string_view loop_verdict_name(LoopVerdict verdict);

struct VerifyLoopOptions {
  TubeOptions tube;
  double seconds = 60;         ///< wall clock; ends as unknown
  std::size_t boxes = 20'000;  ///< tubes at most
  std::size_t rollouts = 200;  ///< looked at before anything is proved
  std::size_t local = 200;     ///< rollouts more, around the one with the least margin
  double least_width = 1e-6;   ///< share of the initial box below which it is not split further
  std::uint64_t seed = 0;
};

struct Verification {
  LoopVerdict verdict = LoopVerdict::kUnknown;
  std::string reason;
  bool timed_out = false;
  std::size_t boxes = 0;            ///< tubes that were computed
  std::size_t proved = 0;           ///< boxes of the final split
  double open_share = 1;            ///< of the initial box's volume
  std::vector<double> margins;      ///< by property: the least over all rollouts
  std::vector<std::size_t> broken;  ///< of kViolated: the properties that the rollout breaks
  Rollout witness;                  ///< of kViolated; else the rollout with the least margin
  std::vector<Box> leaves;          ///< of kHolds: the boxes that were proved
  double seconds = 0;
};

/// Question: do all properties hold for every trajectory from the initial box?
/// Returns   kViolated only where the tube from a single point, itself with outward rounding, breaks a property.
///           kHolds only where the tubes of all boxes meet all properties. kUnknown with the first reason otherwise.
/// Errors    kValue: the loop has no property. kCancelled. Those of simulate().
/// Cost      boxes times reach_tube(); boxes of one round in parallel. The same split for any number of threads; only
///           the clock can end it elsewhere.
base::Result<Verification> verify_loop(const Loop& loop, const VerifyLoopOptions& options = {},
                                       base::Progress& progress = base::no_progress(),
                                       const base::CancelToken& cancel = {});

}  // namespace plumbline::reach
