#include "plumbline/stats/hypothesis.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

constexpr double kExactProduct = 1e7;
constexpr std::size_t kExactUniform = 1000;

double two_sided_binomial(double k, double n, double p) {
  const double mode = std::floor((n + 1) * p);
  // Equal probabilities differ in the last bits; a relative slack keeps mirror images together.
  const double limit = binomial_pmf(k, n, p) * (1 + 1e-7);
  if (k == mode) return 1;
  if (k < mode) {
    double low = mode, high = n + 1;  // smallest j >= mode with pmf(j) <= limit
    while (low < high) {
      const double middle = std::floor((low + high) / 2);
      if (binomial_pmf(middle, n, p) <= limit) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return std::min(1.0, binomial_cdf(k, n, p) + binomial_tail(low, n, p));
  }
  double low = -1, high = mode;  // largest j <= mode with pmf(j) <= limit
  while (low < high) {
    const double middle = std::ceil((low + high) / 2);
    if (binomial_pmf(middle, n, p) <= limit) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return std::min(1.0, binomial_tail(k, n, p) + binomial_cdf(low, n, p));
}

/// P(D >= d) over all orders of the pooled sample: the share of lattice paths that touch the boundary at a place where
/// the pooled value changes. Computed as the probability of touching, so small values keep their digits.
double ks_exact(const std::vector<double>& a, const std::vector<double>& b, double d) {
  const std::size_t m = a.size(), n = b.size();
  std::vector<double> pooled(a);
  pooled.insert(pooled.end(), b.begin(), b.end());
  std::sort(pooled.begin(), pooled.end());
  auto touches = [&](std::size_t i, std::size_t j) {
    const std::size_t seen = i + j;
    if (seen == 0 || (seen < pooled.size() && pooled[seen - 1] == pooled[seen])) return false;
    const double gap =
        std::abs(static_cast<double>(i) / static_cast<double>(m) - static_cast<double>(j) / static_cast<double>(n));
    return gap >= d - 1e-12;
  };
  std::vector<double> row(n + 1);
  for (std::size_t i = 0; i <= m; ++i) {
    for (std::size_t j = 0; j <= n; ++j) {
      if (touches(i, j)) {
        row[j] = 1;
      } else if (i + j == 0) {
        row[j] = 0;
      } else {
        const double from_a = i > 0 ? static_cast<double>(i) * row[j] : 0;
        const double from_b = j > 0 ? static_cast<double>(j) * row[j - 1] : 0;
        row[j] = (from_a + from_b) / static_cast<double>(i + j);
      }
    }
  }
  return row[n];
}

/// P(D_n < d) for n uniform values.
double kolmogorov_exact(std::size_t n, double d) {
  const double scaled = static_cast<double>(n) * d;
  const auto k = static_cast<std::size_t>(scaled) + 1;
  const std::size_t m = 2 * k - 1;
  const double h = static_cast<double>(k) - scaled;
  std::vector<double> base_matrix(m * m, 0.0);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j) base_matrix[i * m + j] = i + 1 >= j ? 1 : 0;
  }
  for (std::size_t i = 0; i < m; ++i) {
    base_matrix[i * m] -= std::pow(h, static_cast<double>(i + 1));
    base_matrix[(m - 1) * m + i] -= std::pow(h, static_cast<double>(m - i));
  }
  if (2 * h - 1 > 0) base_matrix[(m - 1) * m] += std::pow(2 * h - 1, static_cast<double>(m));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      if (i + 1 > j) {
        for (std::size_t g = 1; g <= i + 1 - j; ++g) base_matrix[i * m + j] /= static_cast<double>(g);
      }
    }
  }
  auto multiply = [m](const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> z(m * m, 0.0);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t l = 0; l < m; ++l) {
        const double v = x[i * m + l];
        if (v == 0) continue;
        for (std::size_t j = 0; j < m; ++j) z[i * m + j] += v * y[l * m + j];
      }
    }
    return z;
  };
  // Power by squaring; powers of ten are split off so that nothing overflows.
  std::vector<double> result(m * m, 0.0);
  for (std::size_t i = 0; i < m; ++i) result[i * m + i] = 1;
  std::vector<double> power = base_matrix;
  int result_exponent = 0, power_exponent = 0;
  auto rescale = [m, k](std::vector<double>& x, int& exponent) {
    if (x[(k - 1) * m + k - 1] < 1e140) return;
    for (double& v : x) v *= 1e-140;
    exponent += 140;
  };
  for (std::size_t e = n; e > 0; e /= 2) {
    if (e % 2 == 1) {
      result = multiply(result, power);
      result_exponent += power_exponent;
      rescale(result, result_exponent);
    }
    power = multiply(power, power);
    power_exponent *= 2;
    rescale(power, power_exponent);
  }
  double s = result[(k - 1) * m + k - 1];
  for (std::size_t i = 1; i <= n; ++i) {
    s = s * static_cast<double>(i) / static_cast<double>(n);
    if (s < 1e-140) {
      s *= 1e140;
      result_exponent -= 140;
    }
  }
  return std::clamp(s * std::pow(10.0, result_exponent), 0.0, 1.0);
}

double ks_uniform_p(std::size_t n, double d) {
  if (d <= 0) return 1;
  if (d >= 1) return 0;
  const auto size = static_cast<double>(n);
  if (n < kExactUniform) {
    // Far in the tail the exact form cancels; there the sum of the two one-sided laws is exact to that order.
    if (size * d * d > 18) return std::min(1.0, 2 * std::exp(-2 * size * d * d - 2 * d / 3));
    return 1 - kolmogorov_exact(n, d);
  }
  const double root = std::sqrt(size);
  return 1 - kolmogorov_cdf((root + 0.12 + 0.11 / root) * d);
}

}  // namespace

double kolmogorov_cdf(double x) {
  if (!(x > 0)) return 0;
  if (x < 1.18) {
    const double v = std::exp(-std::numbers::pi * std::numbers::pi / (8 * x * x));
    return std::sqrt(2 * std::numbers::pi) / x * (v + std::pow(v, 9) + std::pow(v, 25));
  }
  double sum = 0;
  for (int k = 1; k <= 20; ++k) sum += (k % 2 == 1 ? 1 : -1) * std::exp(-2.0 * k * k * x * x);
  return 1 - 2 * sum;
}

base::Result<TestResult> binomial_test(std::size_t successes, std::size_t n, double p, Tail tail) {
  if (successes > n)
    return make_error(Code::kValue,
                      fmt::format("binomial_test: successes is {}, expected at most n = {}", successes, n));
  PL_CHECK(base::check_in("binomial_test", "p", p, 0, 1));
  const auto k = static_cast<double>(successes);
  const auto size = static_cast<double>(n);
  TestResult result;
  result.method = "exact binomial";
  result.exact = true;
  result.n = size;
  result.statistic = n == 0 ? 0 : k / size;
  switch (tail) {
    case Tail::kGreater: result.p_value = binomial_tail(k, size, p); break;
    case Tail::kLess: result.p_value = binomial_cdf(k, size, p); break;
    case Tail::kTwoSided: result.p_value = n == 0 ? 1 : two_sided_binomial(k, size, p); break;
  }
  return result;
}

base::Result<TestResult> mcnemar_exact(std::size_t first_only, std::size_t second_only, Tail tail) {
  PL_TRY(TestResult result, binomial_test(first_only, first_only + second_only, 0.5, tail));
  result.method = "exact McNemar";
  return result;
}

base::Result<TestResult> ks_two_sample(std::span<const double> a, std::span<const double> b) {
  PL_CHECK(base::check_at_least("ks_two_sample", "size of a", static_cast<std::ptrdiff_t>(a.size()), 1));
  PL_CHECK(base::check_at_least("ks_two_sample", "size of b", static_cast<std::ptrdiff_t>(b.size()), 1));
  PL_CHECK(base::check_all_finite("ks_two_sample", "a", a));
  PL_CHECK(base::check_all_finite("ks_two_sample", "b", b));
  std::vector<double> x(a.begin(), a.end());
  std::vector<double> y(b.begin(), b.end());
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  const auto m = static_cast<double>(x.size());
  const auto n = static_cast<double>(y.size());
  double distance = 0;
  for (std::size_t i = 0, j = 0; i < x.size() && j < y.size();) {
    const double value = std::min(x[i], y[j]);
    while (i < x.size() && x[i] == value) ++i;
    while (j < y.size() && y[j] == value) ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) / m - static_cast<double>(j) / n));
  }
  TestResult result;
  result.statistic = distance;
  result.n = m + n;
  result.exact = m * n <= kExactProduct;
  result.method = result.exact ? "exact two-sample Kolmogorov–Smirnov" : "two-sample Kolmogorov–Smirnov (limit law)";
  result.p_value = distance == 0  ? 1
                   : result.exact ? ks_exact(x, y, distance)
                                  : 1 - kolmogorov_cdf(distance * std::sqrt(m * n / (m + n)));
  return result;
}

base::Result<TestResult> ks_uniform(std::span<const double> values) {
  if (values.empty()) return make_error(Code::kShape, "ks_uniform: values is empty");
  for (const double v : values) PL_CHECK(base::check_in("ks_uniform", "values", v, 0, 1));
  std::vector<double> x(values.begin(), values.end());
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    distance = std::max({distance, static_cast<double>(i + 1) / n - x[i], x[i] - static_cast<double>(i) / n});
  }
  TestResult result;
  result.statistic = distance;
  result.n = n;
  result.exact = x.size() < kExactUniform;
  result.method = result.exact ? "exact Kolmogorov–Smirnov" : "Kolmogorov–Smirnov (limit law)";
  result.p_value = ks_uniform_p(x.size(), distance);
  return result;
}

base::Result<TestResult> chi_square_fit(std::span<const double> counts, std::span<const double> shares) {
  PL_CHECK(base::check_at_least("chi_square_fit", "size of counts", static_cast<std::ptrdiff_t>(counts.size()), 2));
  PL_CHECK(base::check_size("chi_square_fit", "shares", static_cast<std::ptrdiff_t>(shares.size()),
                            static_cast<std::ptrdiff_t>(counts.size())));
  double total = 0, scale = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    PL_CHECK(base::check_in("chi_square_fit", "counts", counts[i], 0, 1e300));
    PL_CHECK(base::check_positive("chi_square_fit", "shares", shares[i]));
    total += counts[i];
    scale += shares[i];
  }
  if (total == 0) return make_error(Code::kValue, "chi_square_fit: all counts are 0");
  TestResult result;
  double least = total;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * shares[i] / scale;
    least = std::min(least, expected);
    result.statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  result.n = total;
  result.method =
      least < 5 ? fmt::format("chi-square (smallest expected count {:.2g}: approximate)", least) : "chi-square";
  result.p_value = chi_square_tail(result.statistic, static_cast<double>(counts.size() - 1));
  return result;
}

base::Result<TestResult> chi_square_table(MatrixRefD counts) {
  std::vector<double> row_sums(static_cast<std::size_t>(counts.rows())),
      column_sums(static_cast<std::size_t>(counts.cols()));
  double total = 0;
  for (std::ptrdiff_t i = 0; i < counts.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < counts.cols(); ++j) {
      PL_CHECK(base::check_in("chi_square_table", "counts", counts(i, j), 0, 1e300));
      row_sums[static_cast<std::size_t>(i)] += counts(i, j);
      column_sums[static_cast<std::size_t>(j)] += counts(i, j);
      total += counts(i, j);
    }
  }
  if (!(total > 0)) return make_error(Code::kValue, "chi_square_table: all counts are 0");
  const auto positive = [](double s) { return s > 0; };
  const auto rows = std::count_if(row_sums.begin(), row_sums.end(), positive);
  const auto columns = std::count_if(column_sums.begin(), column_sums.end(), positive);
  TestResult result;
  result.n = total;
  result.method = "chi-square";
  if (rows < 2 || columns < 2) return result;
  double least = total;
  for (std::ptrdiff_t i = 0; i < counts.rows(); ++i) {
    for (std::ptrdiff_t j = 0; j < counts.cols(); ++j) {
      const double expected = row_sums[static_cast<std::size_t>(i)] * column_sums[static_cast<std::size_t>(j)] / total;
      if (expected == 0) continue;
      least = std::min(least, expected);
      result.statistic += (counts(i, j) - expected) * (counts(i, j) - expected) / expected;
    }
  }
  if (least < 5) result.method = fmt::format("chi-square (smallest expected count {:.2g}: approximate)", least);
  result.p_value = chi_square_tail(result.statistic, static_cast<double>((rows - 1) * (columns - 1)));
  return result;
}

CountRegion binomial_region(std::size_t n, double p, double share) {
  const auto size = static_cast<double>(n);
  const double tail = (1 - share) / 2;
  CountRegion region{0, n};
  while (region.low < n && binomial_cdf(static_cast<double>(region.low), size, p) <= tail) ++region.low;
  while (region.high > 0 && binomial_tail(static_cast<double>(region.high), size, p) <= tail) --region.high;
  return region;
}

base::Result<Uniformity> uniformity(std::span<const double> p_values, double level, double region_share) {
  if (p_values.empty()) return make_error(Code::kShape, "uniformity: p_values is empty");
  for (const double p : p_values) PL_CHECK(base::check_in("uniformity", "p_values", p, 0, 1));
  PL_CHECK(base::check_in_open("uniformity", "level", level, 0, 1));
  PL_CHECK(base::check_in_open("uniformity", "region_share", region_share, 0, 1));
  std::vector<double> x(p_values.begin(), p_values.end());
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  Uniformity result;
  result.n = x.size();
  const CountRegion region = binomial_region(x.size(), level, region_share);
  result.region_low = region.low;
  result.region_high = region.high;
  for (std::size_t i = 0; i < x.size();) {
    std::size_t end = i;
    while (end < x.size() && x[end] == x[i]) ++end;
    const double before = static_cast<double>(i) / n;
    const double through = static_cast<double>(end) / n;
    result.ks_distance = std::max({result.ks_distance, before - x[i], x[i] - through});
    if (x[i] <= level) result.rejections = end;
    i = end;
  }
  result.ks_p_value = ks_uniform_p(x.size(), result.ks_distance);
  result.too_many = result.rejections > result.region_high;
  result.too_few = result.rejections < result.region_low;
  return result;
}

}  // namespace plumbline::stats
