#pragma once
/// How long has the present law held? The posterior of the run length after every point, online or over a whole series.

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::stats {

/// Points between changes are drawn alike; parameters of each run come from the conjugate prior.
struct RunPrior {
  enum class Law {
    kNormal,   ///< mean and variance unknown: normal-inverse-gamma(mean, strength, shape, rate); predictive Student's t
    kPoisson,  ///< rate unknown: gamma(shape, rate); predictive negative binomial
  };
  Law law = Law::kNormal;
  double mean = 0;
  double strength = 1;  ///< prior observations of the mean
  double shape = 1;
  double rate = 1;
};

struct RunLengthOptions {
  double hazard = 0.01;  ///< probability that a point begins a new run
  RunPrior prior{};
  double forget = 0;  ///< drop run lengths below this share of the posterior; 0: exact
  base::CancelToken cancel{};
};

struct RunLengths {
  /// posterior[t][r]: P(point t is the (r + 1)-th of its run | points 0 … t); runs longer than its size have been
  /// forgotten.
  std::vector<std::vector<double>> posterior;
  std::vector<double> change;        ///< P(point t begins a run | points 0 … t); for t = 0 it is 1
  std::vector<std::size_t> changes;  ///< of the most probable segmentation given all points (Viterbi)
  double log_evidence = 0;           ///< log of the marginal density of all points
};

/// Formula   P(r_t = 1, x_1..t) = H m_0(x_t) sum_r P(r, x_1..t-1); P(r_t = r + 1, x_1..t) = (1 - H) m_r(x_t) P(r,
/// x_1..t-1), with m_r
///           the predictive density after r points of the run. The first point begins a run for certain.
/// Errors    kShape: no points. kValue: not finite; hazard outside (0, 1); prior not positive; forget outside [0,
/// 1e-3]; a
///           Poisson count that is none; more than 20,000 points without forgetting (memory is O(n^2)) are kLimit.
///           kCancelled.
/// Cost      O(n x runs kept). Deterministic.
/// Source    Adams and MacKay 2007; Fearnhead and Liu 2007.
base::Result<RunLengths> run_lengths(std::span<const double> values, const RunLengthOptions& options = {});

/// log of the marginal density of a run.
double log_marginal(std::span<const double> values, const RunPrior& prior);

}  // namespace plumbline::stats
