#pragma once
/// Quantiles and tail probabilities, wrapped once so that the Boost headers stay out of every other source.
/// Arguments are the caller's responsibility (the public methods guard theirs); out of range gives NaN.

#include <cstddef>

namespace plumbline::stats {

double normal_cdf(double x);
/// Upper tail, accurate for large x.
double normal_tail(double x);
double normal_quantile(double probability);
double t_quantile(double probability, double degrees);
/// P(|T| >= |t|).
double t_two_sided(double t, double degrees);
double chi_square_tail(double x, double degrees);
double f_quantile(double probability, double numerator, double denominator);
/// Regularised incomplete beta: P(B <= x) for B ~ Beta(a, b).
double beta_cdf(double x, double a, double b);
double beta_tail(double x, double a, double b);
double beta_quantile(double probability, double a, double b);
/// log of the beta function.
double log_beta(double a, double b);
/// P(X <= k), X ~ Binomial(n, p); 0 for k < 0.
double binomial_cdf(double k, double n, double p);
/// P(X >= k).
double binomial_tail(double k, double n, double p);
double binomial_pmf(double k, double n, double p);
/// log of n choose k.
double log_choose(double n, double k);

/// Clopper–Pearson bounds at real-valued counts (successes and n may be effective sizes), one-sided confidence c.
double clopper_pearson_low(double successes, double n, double confidence);
double clopper_pearson_high(double successes, double n, double confidence);

}  // namespace plumbline::stats
