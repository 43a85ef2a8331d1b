#pragma once
/// How often is a classifier right, on the whole, class by class, and which classes does it take for which?

#include <cstddef>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::probe {

/// Column of the largest output of each row; the first of equals.
/// Errors kShape: no column. kValue: NaN.
base::Result<std::vector<int>> predicted_labels(MatrixRefD outputs);

struct AccuracyReport {
  stats::Estimate accuracy;
  stats::Estimate balanced;                         ///< mean of the recalls of the classes that have rows
  std::vector<stats::Estimate> recall;              ///< by class; n = 0 where the class has no row
  std::vector<stats::Estimate> precision;           ///< by class; n = 0 where the class is never predicted
  std::vector<std::vector<std::size_t>> confusion;  ///< [truth][predicted]
  std::vector<std::size_t> class_rows;
};

/// Question  how often are predictions right, and for which classes are they not?
/// Shapes    labels n, predicted n, values in [0, classes); units n or empty.
/// Bounds    accuracy, recall, precision: exact (Clopper–Pearson), with units by effective size (stats::proportion).
/// Balanced
///           accuracy: variance of the mean of recalls over units, not below that of recalls with one hit and one miss
///           added, and Clopper–Pearson at the effective size that this variance means.
/// Assumes   independent units.
/// Errors    kShape: n < 2, sizes differ, fewer than 2 units. kValue: a label or prediction out of range, classes < 2.
/// Outcome   a class whose rows lie in one unit has a recall without bounds.
/// Cost      O(n + classes^2). Deterministic; row order is irrelevant.
base::Result<AccuracyReport> accuracy_report(std::span<const int> labels, std::span<const int> predicted, int classes,
                                             std::span<const int> units = {});

}  // namespace plumbline::probe
