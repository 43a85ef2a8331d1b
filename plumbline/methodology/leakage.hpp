#pragma once
/// Do test items occur in the training data? Exact copies, near copies, shared groups, and what they do to the metric.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/methodology/near_duplicates.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::methodology {

struct LeakageOptions {
  std::size_t calibration_rows = 4000;  ///< train units from which to learn how alike separate items are
  double tail = 0.001;                  ///< share of separate items that the near threshold may call near
  int candidates = 8;                   ///< images: at least 4
  int shift = 2;
  base::CancelToken cancel{};
};

/// A test row and the train row that it repeats.
struct LeakedPair {
  std::size_t test = 0;
  std::size_t train = 0;
  double similarity = 1;  ///< images: 1 - the share of the difference to the fourth nearest train row that is left
  bool exact = false;
};

struct LeakageResult {
  std::vector<LeakedPair> pairs;  ///< by test row
  stats::Estimate exact_share;    ///< of test units with a row whose normalised content is in train
  /// Of test units with a row at or above the threshold, exact or not. Empty when the threshold means nothing:
  /// `near_reason` says why.
  std::optional<stats::Estimate> near_share;
  std::string near_reason;
  double threshold = 1;  ///< similarity above which a row counts as near
  std::optional<stats::Estimate>
      false_alarm;  ///< share of separate train rows called near, on rows that did not set the threshold
  std::optional<stats::Estimate>
      group_share;                         ///< of declared test units that occur in train; empty when none are declared
  std::vector<std::string> shared_groups;  ///< at most 100
  std::vector<std::size_t> conflicts;      ///< indices into pairs whose labels differ
  double train_copies = 0;                 ///< share of train rows that repeat an earlier train row
};

/// What      exact: SHA-256 of normalised content (image bytes; cells of a table with text in lower case and single
/// blanks;
///           numbers of a matrix). Near: nearest_images, nearest_texts (tables with free text) or nearest_rows (tables
///           encoded by a contract fitted on train, matrices standardised by train). Calibration units of train are
///           compared with the other units of train, exact copies left out; half of them set the threshold, the other
///           half measure its false alarms. Rows and texts: the threshold is the (1 - tail) quantile of the nearest
///           similarity. Images: what counts is the difference to the nearest row as a share of that to the fourth
///           nearest (at least the 5 % quantile of the latter), and the threshold is lower_tail_quantile of this share,
///           so that the few near copies which most train sets hold do not hide those of test.
/// Shapes    train and test of one kind, with the same pixels or columns; labels, units optional.
/// Returns   shares of test units with Clopper–Pearson bounds.
/// Assumes   test units are independent; train without leakage shows how alike separate items are.
/// Errors    kShape: empty set, kinds or sizes differ. kValue: options out of range. kCancelled.
/// Outcome   near_share is empty, with the reason, when train has fewer than 200 units for calibration, or so many
/// near
///           copies inside train that the threshold reaches 1, or (images) that the fourth nearest rows are copies.
/// Cost      dominated by nearest_*. Deterministic given the stream.
/// Source    Barz and Denzler 2020, "Do we train on test data?", for the question; quantile calibration as in conformal
/// prediction. Ratios of neighbours' distances: Lowe 2004.
base::Result<LeakageResult> find_leakage(const data::Dataset& train, const data::Dataset& test,
                                         const LeakageOptions& options, const base::Rng& rng);

/// What      the `tail` quantile of positive values whose lower tail is a power law, as that of nearest distances is,
///           while a few of the smallest may come from elsewhere.
/// Formula   x_(k) (tail n / k)^s, s = mean of i ln(x_(i+1) / x_(i)) over i in [j, k), j = n / 100 and k = n / 10, each
///           rounded up: Hill's estimate without the smallest hundredth. From tail 0.01 on the quantile itself.
/// Shapes    at least 20 ascending values. Assumes positive values. O(n).
/// Source    Hill 1975; trimmed as by Brazauskas and Serfling 2000.
double lower_tail_quantile(std::span<const double> ascending, double tail);

/// Does the metric profit? Mean of `correct` on matched rows minus on the others, Welch's interval.
/// Outcome   nothing when fewer than 10 rows are on a side, or no row of a side differs from the others.
base::Result<std::optional<stats::Estimate>> leakage_gap(const LeakageResult& result, std::span<const double> correct,
                                                         std::span<const int> units = {});

}  // namespace plumbline::methodology
