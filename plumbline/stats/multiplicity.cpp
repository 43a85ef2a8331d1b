#include "plumbline/stats/multiplicity.hpp"

#include <algorithm>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::stats {

base::Result<std::vector<double>> holm(std::span<const double> p_values) {
  for (const double p : p_values) PL_CHECK(base::check_in("holm", "p_values", p, 0, 1));
  const auto order = sort_order(p_values);
  const auto m = static_cast<double>(p_values.size());
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, (m - static_cast<double>(i)) * p_values[order[i]]);
    adjusted[order[i]] = std::min(1.0, largest);
  }
  return adjusted;
}

base::Result<std::vector<double>> benjamini_hochberg(std::span<const double> p_values) {
  for (const double p : p_values) PL_CHECK(base::check_in("benjamini_hochberg", "p_values", p, 0, 1));
  const auto order = sort_order(p_values);
  const auto m = static_cast<double>(p_values.size());
  std::vector<double> adjusted(p_values.size());
  double smallest = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    smallest = std::min(smallest, m * p_values[order[i]] / static_cast<double>(i + 1));
    adjusted[order[i]] = smallest;
  }
  return adjusted;
}

}  // namespace plumbline::stats
