#include "plumbline/stats/change/cost.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::stats {
namespace {

/// Sums of [0, i).
std::vector<double> prefix(std::size_t n, const auto& term) {
  std::vector<double> sums(n + 1, 0.0);
  for (std::size_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + term(i);
  return sums;
}

class Mean : public SegmentCost {
 public:
  Mean(std::span<const double> x, std::span<const double> weight, std::size_t shortest, bool length_term)
      // log a + log b - log(a + b) <= log(n / 4).
      : SegmentCost(x.size(), shortest, 1,
                    length_term ? std::max(0.0, std::log(static_cast<double>(x.size()) / 4)) : 0),
        length_term_(length_term) {
    const double centre = moments(x).mean;  // figures around 1000 keep the digits that matter
    mass_ = prefix(x.size(), [&](std::size_t i) { return weight[i]; });
    sum_ = prefix(x.size(), [&](std::size_t i) { return weight[i] * (x[i] - centre); });
    square_ = prefix(x.size(), [&](std::size_t i) { return weight[i] * (x[i] - centre) * (x[i] - centre); });
  }
  double cost(std::size_t b, std::size_t e) const override {
    const double sum = sum_[e] - sum_[b];
    const double rest = std::max(0.0, square_[e] - square_[b] - sum * sum / (mass_[e] - mass_[b]));
    return rest + (length_term_ ? std::log(static_cast<double>(e - b)) : 0);
  }

 private:
  std::vector<double> mass_, sum_, square_;
  bool length_term_;
};

class Normal : public SegmentCost {
 public:
  Normal(std::span<const double> x, std::size_t shortest) : SegmentCost(x.size(), shortest, 2) {
    const Moments all = moments(x);
    floor_ = std::max(1e-8 * all.variance, 1e-300);
    sum_ = prefix(x.size(), [&](std::size_t i) { return x[i] - all.mean; });
    square_ = prefix(x.size(), [&](std::size_t i) { return (x[i] - all.mean) * (x[i] - all.mean); });
  }
  double cost(std::size_t b, std::size_t e) const override {
    const auto n = static_cast<double>(e - b);
    const double sum = sum_[e] - sum_[b];
    const double rest = std::max(0.0, square_[e] - square_[b] - sum * sum / n);
    const double variance = std::max(rest / n, floor_);
    return n * std::log(2 * std::numbers::pi * variance) + rest / variance;
  }

 private:
  std::vector<double> sum_, square_;
  double floor_ = 0;
};

class Poisson : public SegmentCost {
 public:
  Poisson(std::span<const double> counts, std::span<const double> exposure, std::size_t shortest)
      : SegmentCost(counts.size(), shortest, 1) {
    count_ = prefix(counts.size(), [&](std::size_t i) { return counts[i]; });
    exposure_ = prefix(counts.size(), [&](std::size_t i) { return exposure.empty() ? 1.0 : exposure[i]; });
  }
  double cost(std::size_t b, std::size_t e) const override {
    const double n = count_[e] - count_[b];
    return n > 0 ? 2 * (n - n * std::log(n / (exposure_[e] - exposure_[b]))) : 0;
  }

 private:
  std::vector<double> count_, exposure_;
};

class Distribution : public SegmentCost {
 public:
  Distribution(std::span<const double> x, std::size_t levels, std::size_t shortest)
      : SegmentCost(x.size(), shortest, 1) {
    std::vector<double> sorted(x.begin(), x.end());
    std::sort(sorted.begin(), sorted.end());
    const auto n = static_cast<double>(x.size());
    // Quantiles close to the ends are as frequent as those in the middle: logistic in their number.
    const double c = std::log(2 * n - 1);
    for (std::size_t k = 0; k < levels; ++k) {
      const double z = -1 + (2.0 * static_cast<double>(k) + 1) / static_cast<double>(levels);
      const double at = quantile_sorted(sorted, 1 / (1 + std::exp(c * -z)));
      below_.push_back(prefix(x.size(), [&](std::size_t i) { return x[i] < at ? 1.0 : x[i] == at ? 0.5 : 0.0; }));
    }
    scale_ = 2 * c / static_cast<double>(levels);
  }
  double cost(std::size_t b, std::size_t e) const override {
    const auto n = static_cast<double>(e - b);
    double sum = 0;
    for (const auto& below : below_) {
      const double f = below[e] - below[b];
      if (f > 0) sum -= f * std::log(f / n);
      if (f < n) sum -= (n - f) * std::log(1 - f / n);
    }
    return scale_ * sum;
  }

 private:
  std::vector<std::vector<double>> below_;
  double scale_ = 0;
};

base::Status check_values(std::string_view who, std::span<const double> values, std::size_t shortest,
                          std::size_t least) {
  if (values.empty()) return base::make_error(base::Code::kShape, fmt::format("{}: no values", who));
  PL_CHECK(base::check_all_finite(who, "values", values));
  return base::check_at_least(who, "shortest", static_cast<std::ptrdiff_t>(shortest),
                              static_cast<std::ptrdiff_t>(least));
}

}  // namespace

base::Result<CostPtr> mean_cost(std::span<const double> values, const MeanCostOptions& o) {
  PL_CHECK(check_values("mean_cost", values, o.shortest, 1));
  PL_CHECK(base::check_positive("mean_cost", "deviation", o.deviation));
  if (!o.errors.empty())
    PL_CHECK(base::check_size("mean_cost", "errors", static_cast<std::ptrdiff_t>(o.errors.size()),
                              static_cast<std::ptrdiff_t>(values.size())));
  std::vector<double> weight(values.size(), 1 / (o.deviation * o.deviation));
  for (std::size_t i = 0; i < o.errors.size(); ++i) {
    PL_CHECK(base::check_positive("mean_cost", fmt::format("errors[{}]", i), o.errors[i]));
    weight[i] = 1 / (o.errors[i] * o.errors[i]);
  }
  return CostPtr(std::make_unique<Mean>(values, weight, o.shortest, o.length_term));
}

base::Result<CostPtr> normal_cost(std::span<const double> values, std::size_t shortest) {
  PL_CHECK(check_values("normal_cost", values, shortest, 2));
  return CostPtr(std::make_unique<Normal>(values, shortest));
}

base::Result<CostPtr> poisson_cost(std::span<const double> counts, std::span<const double> exposure,
                                   std::size_t shortest) {
  PL_CHECK(check_values("poisson_cost", counts, shortest, 1));
  if (!exposure.empty())
    PL_CHECK(base::check_size("poisson_cost", "exposure", static_cast<std::ptrdiff_t>(exposure.size()),
                              static_cast<std::ptrdiff_t>(counts.size())));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0 || counts[i] != std::floor(counts[i]))
      return base::make_error(base::Code::kValue,
                              fmt::format("poisson_cost: counts[{}] = {} is no count", i, counts[i]));
    if (!exposure.empty()) PL_CHECK(base::check_positive("poisson_cost", fmt::format("exposure[{}]", i), exposure[i]));
  }
  return CostPtr(std::make_unique<Poisson>(counts, exposure, shortest));
}

base::Result<CostPtr> rank_cost(std::span<const double> values, std::size_t shortest) {
  PL_CHECK(check_values("rank_cost", values, shortest, 1));
  const std::vector<double> ranks = midranks(values);
  const auto n = static_cast<double>(values.size());
  const std::vector<double> weight(values.size(), n > 1 ? 12 / (n * n - 1) : 1);
  return CostPtr(std::make_unique<Mean>(ranks, weight, shortest, false));
}

base::Result<CostPtr> distribution_cost(std::span<const double> values, std::size_t levels, std::size_t shortest) {
  PL_CHECK(check_values("distribution_cost", values, shortest, 1));
  if (levels == 0)
    levels = std::max<std::size_t>(1, static_cast<std::size_t>(4 * std::log(static_cast<double>(values.size()))));
  if (levels > values.size()) levels = values.size();
  return CostPtr(std::make_unique<Distribution>(values, levels, shortest));
}

base::Result<double> noise_of(std::span<const double> values) {
  if (values.size() < 3)
    return base::make_error(base::Code::kShape, fmt::format("noise_of: {} values, 3 needed", values.size()));
  PL_CHECK(base::check_all_finite("noise_of", "values", values));
  std::vector<double> steps(values.size() - 1);
  for (std::size_t i = 0; i + 1 < values.size(); ++i) steps[i] = std::abs(values[i + 1] - values[i]);
  PL_TRY(const double middle, median(steps));
  return middle / (0.6744897501960817 * std::numbers::sqrt2);
}

}  // namespace plumbline::stats
