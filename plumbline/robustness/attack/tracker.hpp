#pragma once
/// What every attack on a classifier keeps count of: evaluations spent, the smallest success, the least margin.

#include <memory>
#include <span>
#include <vector>

#include "plumbline/robustness/attack/attack.hpp"
#include "plumbline/robustness/attack/descent.hpp"

namespace plumbline::robustness {

class Tracker {
 public:
  Tracker(const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng);

  std::size_t inputs() const { return setting_.target->inputs(); }
  std::size_t classes() const { return setting_.target->classes(); }
  std::size_t size() const { return cases_.size(); }
  const AttackCase& example(std::size_t c) const { return cases_[c]; }
  const Region& region(std::size_t c) const { return regions_[c]; }
  const AttackSetting& setting() const { return setting_; }
  /// The example's own stream.
  base::Rng rng(std::size_t c) const { return rng_.fork(cases_[c].id); }
  /// Whether a margin is a success.
  bool wrong(double margin) const { return margin < -setting_.confidence; }
  bool found(std::size_t c) const { return outcomes_[c].found; }
  const AttackOutcome& outcome(std::size_t c) const { return outcomes_[c]; }

  /// Scores of rows; row r belongs to example of[r]. Counts, and keeps successes and margins. Stops nothing.
  base::Result<Pass> look(std::span<const double> rows, std::span<const std::size_t> of);
  /// Gradients by the rows of a pass; counts them, and notes whether the first was zero.
  base::Result<std::vector<double>> gradient(const Pass& pass, std::span<const double> seeds,
                                             std::span<const std::size_t> of);
  /// Margins of the pass, one a row.
  std::vector<double> margins(const Pass& pass, std::span<const std::size_t> of) const;

  std::vector<AttackOutcome> take() { return std::move(outcomes_); }

 private:
  AttackSetting setting_;
  std::span<const AttackCase> cases_;
  base::Rng rng_;
  std::vector<Region> regions_;
  std::vector<AttackOutcome> outcomes_;
};

/// Classes other than the label, by falling score (ties: the lower class first), at most `count`.
std::vector<int> rival_classes(std::span<const double> scores, int label, int count);

/// Scores at the examples themselves: classes() each, in order.
base::Result<std::vector<double>> scores_at_examples(Tracker& tracker);

}  // namespace plumbline::robustness
