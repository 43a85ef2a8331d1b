#pragma once
/// How badly a part of a series is described by one law: the costs that segmentations add up.
/// All are twice a negative log-likelihood at the part's own best parameters, up to what all segmentations share; so
/// cutting a part in two never costs more, which is what PELT rests on.

#include <cstddef>
#include <memory>
#include <span>

#include "plumbline/base/result.hpp"

namespace plumbline::stats {

class SegmentCost {
 public:
  virtual ~SegmentCost() = default;
  /// Of the points [begin, end). Precondition: end - begin >= shortest(), end <= size(). O(1), or O(levels) for
  /// distribution_cost.
  virtual double cost(std::size_t begin, std::size_t end) const = 0;
  std::size_t size() const { return size_; }
  std::size_t shortest() const { return shortest_; }
  /// Parameters of a part, beside its place: for penalties.
  double parameters() const { return parameters_; }
  /// cost(a, b) + cost(b, c) - cost(a, c) is at most this: 0 for likelihoods alone.
  double slack() const { return slack_; }

 protected:
  SegmentCost(std::size_t size, std::size_t shortest, double parameters, double slack = 0)
      : size_(size), shortest_(shortest), parameters_(parameters), slack_(slack) {}

 private:
  std::size_t size_, shortest_;
  double parameters_, slack_;
};
using CostPtr = std::unique_ptr<SegmentCost>;

struct MeanCostOptions {
  std::span<const double> errors{};  ///< standard error of each point; empty: `deviation` for all
  double deviation = 1;              ///< noise_of() estimates one
  bool length_term =
      false;  ///< add log(length) to every part, as the modified criterion of Zhang and Siegmund 2007 does
  std::size_t shortest = 1;
};
/// Shift of the mean, known noise: sum ((x - mean) / error)^2.
/// Errors  kShape: empty, errors of another size. kValue: not finite, error or deviation not positive.
base::Result<CostPtr> mean_cost(std::span<const double> values, const MeanCostOptions& options = {});

/// Mean and variance of a normal: n (log(2 pi v) + S / (n v)), v = max(S / n, floor) with floor = 1e-8 of the variance
/// of all points (then a run of equal values costs no -infinity). shortest >= 2.
base::Result<CostPtr> normal_cost(std::span<const double> values, std::size_t shortest = 2);

/// Rate of Poisson counts: 2 (N - N log(N / exposure)). Errors kValue also: a count that is none.
base::Result<CostPtr> poisson_cost(std::span<const double> counts, std::span<const double> exposure = {},
                                   std::size_t shortest = 1);

/// Mean of the ranks of all points, at their variance (n^2 - 1) / 12: shifts of any law, robust to outliers (Kruskal
/// and Wallis 1952 as a cost).
base::Result<CostPtr> rank_cost(std::span<const double> values, std::size_t shortest = 1);

/// Any change of law: binomial likelihood of lying below each of `levels` quantiles of all points, scaled to
/// 2 log(2n - 1) / levels (Zou et al. 2014; Haynes, Fearnhead and Eckley 2017). levels = 0: 4 log n.
base::Result<CostPtr> distribution_cost(std::span<const double> values, std::size_t levels = 0,
                                        std::size_t shortest = 2);

/// Deviation of the noise around a mean that shifts rarely: median of |x(i+1) - x(i)| / (0.6745 sqrt 2). Errors kShape:
/// fewer than 3 points. 0 where half of the steps are 0.
base::Result<double> noise_of(std::span<const double> values);

}  // namespace plumbline::stats
