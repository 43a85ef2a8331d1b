#include "plumbline/robustness/attack/margin_curve.hpp"

#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::robustness {

base::Result<std::vector<CurvePoint>> accuracy_curve(const RadiusSeries& series, std::span<const double> epsilons,
                                                     std::span<const int> units) {
  PL_CHECK(base::check_at_least("accuracy_curve", "examples", std::ssize(series.radius), 1));
  for (std::size_t i = 0; i < series.radius.size(); ++i) {
    if (std::isnan(series.radius[i])) {
      return base::make_error(base::Code::kValue, fmt::format("accuracy_curve: the radius of example {} is NaN", i),
                              series.name);
    }
  }
  std::vector<CurvePoint> points;
  std::vector<std::uint8_t> right(series.radius.size());
  for (const double epsilon : epsilons) {
    if (!(epsilon >= 0)) {
      return base::make_error(base::Code::kValue, fmt::format("accuracy_curve: epsilon is {}, below 0", epsilon),
                              series.name);
    }
    for (std::size_t i = 0; i < right.size(); ++i) {
      const double radius = series.radius[i];
      right[i] = (series.side == CurveSide::kAttacked ? radius > epsilon : radius >= epsilon) ? 1 : 0;
    }
    PL_TRY(stats::Estimate accuracy, stats::proportion(right, units));
    points.push_back({series.name, epsilon, std::move(accuracy)});
  }
  return points;
}

base::Result<std::vector<std::size_t>> crossings(std::span<const double> attacked, std::span<const double> certified) {
  PL_CHECK(base::check_size("crossings", "certified", std::ssize(certified), std::ssize(attacked)));
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < attacked.size(); ++i) {
    if (certified[i] > attacked[i] || (certified[i] == attacked[i] && certified[i] > 0)) out.push_back(i);
  }
  return out;
}

}  // namespace plumbline::robustness
