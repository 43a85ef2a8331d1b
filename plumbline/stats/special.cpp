#include "plumbline/stats/special.hpp"

#include <cmath>
#include <limits>

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/beta.hpp>

#include "plumbline/base/log_gamma.hpp"

namespace plumbline::stats {
namespace {

namespace bm = boost::math;
// Errors become NaN or infinity, never exceptions: no exception may cross a room.
using Policy = bm::policies::policy<
    bm::policies::domain_error<bm::policies::ignore_error>, bm::policies::pole_error<bm::policies::ignore_error>,
    bm::policies::overflow_error<bm::policies::ignore_error>,
    bm::policies::evaluation_error<bm::policies::ignore_error>,
    bm::policies::underflow_error<bm::policies::ignore_error>, bm::policies::promote_double<false>>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const Policy kPolicy;

}  // namespace

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double normal_tail(double x) { return 0.5 * std::erfc(x / std::sqrt(2.0)); }

double normal_quantile(double probability) {
  if (!(probability > 0 && probability < 1)) return probability == 0 ? -INFINITY : probability == 1 ? INFINITY : kNan;
  return bm::quantile(bm::normal_distribution<double, Policy>(), probability);
}

double t_quantile(double probability, double degrees) {
  if (!(probability > 0 && probability < 1 && degrees > 0)) return kNan;
  return bm::quantile(bm::students_t_distribution<double, Policy>(degrees), probability);
}

double t_two_sided(double t, double degrees) {
  if (!(degrees > 0) || std::isnan(t)) return kNan;
  if (std::isinf(t)) return 0;
  return 2 * bm::cdf(bm::complement(bm::students_t_distribution<double, Policy>(degrees), std::abs(t)));
}

double chi_square_tail(double x, double degrees) {
  if (!(degrees > 0) || !(x >= 0)) return kNan;
  return bm::cdf(bm::complement(bm::chi_squared_distribution<double, Policy>(degrees), x));
}

double f_quantile(double probability, double numerator, double denominator) {
  if (!(probability > 0 && probability < 1)) return kNan;
  return bm::quantile(bm::fisher_f_distribution<double, Policy>(numerator, denominator), probability);
}

double beta_cdf(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  return bm::ibeta(a, b, x, kPolicy);
}

double beta_tail(double x, double a, double b) {
  if (x <= 0) return 1;
  if (x >= 1) return 0;
  return bm::ibetac(a, b, x, kPolicy);
}

double beta_quantile(double probability, double a, double b) {
  if (!(probability >= 0 && probability <= 1)) return kNan;
  return bm::ibeta_inv(a, b, probability, kPolicy);
}

double log_beta(double a, double b) { return base::log_gamma(a) + base::log_gamma(b) - base::log_gamma(a + b); }

double binomial_cdf(double k, double n, double p) {
  if (k < 0) return 0;
  if (k >= n) return 1;
  return beta_tail(p, std::floor(k) + 1, n - std::floor(k));
}

double binomial_tail(double k, double n, double p) {
  if (k <= 0) return 1;
  if (k > n) return 0;
  return beta_cdf(p, std::ceil(k), n - std::ceil(k) + 1);
}

double binomial_pmf(double k, double n, double p) {
  if (k < 0 || k > n) return 0;
  if (p <= 0) return k == 0 ? 1 : 0;
  if (p >= 1) return k == n ? 1 : 0;
  return bm::ibeta_derivative(k + 1, n - k + 1, p, kPolicy) / (n + 1);
}

double log_choose(double n, double k) {
  return base::log_gamma(n + 1) - base::log_gamma(k + 1) - base::log_gamma(n - k + 1);
}

double clopper_pearson_low(double successes, double n, double confidence) {
  if (successes <= 0) return 0;
  return beta_quantile(1 - confidence, successes, n - successes + 1);
}

double clopper_pearson_high(double successes, double n, double confidence) {
  if (successes >= n) return 1;
  return beta_quantile(confidence, successes + 1, n - successes);
}

}  // namespace plumbline::stats
