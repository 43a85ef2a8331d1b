#pragma once
/// Does a cheap part of the input already give the answer away? Baselines that see one column, one text field, the
/// border, a thumbnail or one pixel, and how much of a model's gain over guessing they reach.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::methodology {

struct ShortcutOptions {
  std::vector<std::string>
      fields{};  ///< text columns to be read together as one more partial input; two are also set against each other
  std::vector<std::string> needed{};  ///< columns that the task claims to need: one baseline each without it
  std::size_t train_rows = 5000;      ///< rows that baselines are fitted on at most
  std::size_t baselines = 20;         ///< judged at most; more are ranked by train accuracy
  std::size_t vocabulary = 2000;      ///< words and pairs of words of a text field at most
  base::CancelToken cancel{};
};

/// A baseline and what it reached on the test rows.
struct Baseline {
  std::string name;   ///< "column age", "text warrant0", "without column sex", "border", "pixel 3,7" ...
  std::string place;  ///< the part of the input that it sees, in words
  double train_accuracy = 0;
  std::size_t inputs = 1;  ///< numbers that it reads
  stats::Estimate accuracy;
  stats::Estimate gain;               ///< accuracy minus that of the majority class, on the same rows
  double p_value = 1;                 ///< of "no better than the majority class", exact McNemar, one-sided
  double adjusted_p = 1;              ///< Holm over all baselines judged
  std::vector<std::uint8_t> correct;  ///< by test row
};

struct ShortcutResult {
  int majority = 0;  ///< the most frequent label of train
  stats::Estimate majority_accuracy;
  std::vector<Baseline> baselines;  ///< by test accuracy, best first; of equals the one that reads less
  std::size_t left_out = 0;         ///< baselines that train accuracy ranked too low to be judged
};

/// What      tables: each column alone; declared fields together; all columns without each needed one. Images: mean
/// brightness, a
///           4 x 4 thumbnail, the one-pixel border, 16 patches, and the one pixel that does best on train. Matrices:
///           each column. Numbers and categories enter a ridge logistic regression through a contract fitted on train;
///           numbers also as 16 quantile bins; text as the presence of words and word pairs. A single pixel predicts
///           the majority class of each of 16 grey levels.
/// Returns   for every baseline the gain over the majority class with bounds; fitted on train, judged on test alone.
/// Assumes   test units independent. Baselines beyond `baselines` are dropped by train accuracy, which leaves the tests
/// valid. Errors    kShape: unlabelled or empty set, sets that differ in kind or size. kValue: unknown field, fewer
/// than two classes.
///           kCancelled.
/// Cost      one logistic fit a baseline. Deterministic given the stream.
/// Source    Gururangan et al. 2018 and Niven and Kao 2019 (partial-input baselines); McNemar 1947; Holm 1979.
base::Result<ShortcutResult> cheap_baselines(const data::Dataset& train, const data::Dataset& test,
                                             const ShortcutOptions& options, const base::Rng& rng);

/// The largest of several figures, with bounds for the largest true one: above, the largest upper bound; below, at
/// confidence c, the largest lower bound at 1 - (1 - c) / m, rounded up to a rung (union bound over m figures).
/// Precondition: not empty.
stats::Estimate largest_of(std::span<const stats::Estimate> each);

/// s = (baseline - majority) / (model - majority) in accuracy on the same rows: 0 = the baseline learnt nothing, 1 = it
/// does as well as the model.
struct Solvability {
  std::vector<stats::Estimate> each;  ///< by baseline
  stats::Estimate worst;              ///< the largest; bounds hold for the largest true value (union bound below)
  std::size_t worst_baseline = 0;
  std::string not_defined;  ///< why there is no figure: the model itself is not clearly better than the majority class
};
/// Shapes    model_correct by test row (0 or 1), units of the test rows or empty.
/// Errors    kShape: sizes differ, no baseline. kValue: fewer than 10 units. kCancelled.
/// Outcome   not_defined when the model's own gain has no lower bound above 0 at 0.95.
/// Formula   each: percentile bootstrap over units. worst: upper bounds are the largest of the upper bounds; lower
/// bounds at
///           confidence c are the largest of the lower bounds at 1 - (1 - c) / m for m baselines, rounded up to a rung.
/// Cost      replicates x rows x baselines. Deterministic given the stream.
base::Result<Solvability> solvability(const ShortcutResult& result, std::span<const std::uint8_t> majority_correct,
                                      std::span<const std::uint8_t> model_correct, std::span<const int> units,
                                      const base::Rng& rng, std::size_t replicates = 2000,
                                      const base::CancelToken& cancel = {});

}  // namespace plumbline::methodology
