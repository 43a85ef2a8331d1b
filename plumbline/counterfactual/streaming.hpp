#pragma once
/// Values of a policy on a log that is never held: one pass over its column form, or two.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/policy_source.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::counterfactual {

/// ips, snips, clipped, shrunk: those whose terms a row gives alone.
bool streams(Estimator estimator);
/// bootstrap, normal.
bool streams(Interval interval);

struct StreamedValues {
  std::size_t logged_rows = 0;
  std::size_t used = 0;
  int passes = 0;
  Exclusions excluded;
  Support support;
  stats::Estimate logged;  ///< mean reward of the usable rows
  std::vector<PolicyValue> values;
  std::vector<PolicyValue> gains;  ///< over the logged policy, on the same rows
};

/// Question  as Evaluation::value and gain, for a log beyond memory.
/// Formula   the same terms, support and outcomes. normal: the same influence functions, their squares from sums of
///           products of unit sums. bootstrap: percentiles of ResampledSums; a unit's rows come together wherever they
///           lie. A second pass, first in order, where a row needs what all rows say: the number of usable rows
///           (clipped, shrunk), or which actions were ever taken (logs without the probabilities of all actions).
/// Errors    as LogStream and usable_rows; kValue: an estimator or interval that does not stream, replicates < 100,
///           rewards outside the declared range. kCancelled.
/// Cost      bytes of the log; memory of a block of 65,536 rows, and with named units 24 to 64 bytes a unit. Same seed,
///           same bits for any number of threads.
base::Result<StreamedValues> stream_values(const std::string& path, const PolicySource& policy,
                                           std::span<const Estimator> estimators, Interval interval,
                                           const ValueOptions& options, const base::Rng& rng);

}  // namespace plumbline::counterfactual
