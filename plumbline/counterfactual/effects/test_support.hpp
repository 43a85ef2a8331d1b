#pragma once
/// A law with known effects, and tables, for tests of this folder.

#include <cmath>
#include <string>
#include <string_view>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/effects/study.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::counterfactual::effects {

inline data::Table table_of(std::string_view text) { return data::parse_csv(text, "table").value(); }

/// x0, x1, x2 standard normal; log odds of treatment = selection x0 / 2 + curved_propensity (x0^2 - 1) + hidden u;
/// y = x0 + x1 / 2 + curved_outcome (x0^2 - 1) + hidden u + (1 + heterogeneity x0) t + noise(deviation).
/// collider: x2 is (t + y) / 2 and noise, measured after both; leak: x2 is y with little noise.
struct Law {
  std::size_t n = 400;
  double selection = 1;
  double heterogeneity = 0;
  double curved_outcome = 0;
  double curved_propensity = 0;
  double hidden = 0;
  double collider = 0;
  double leak = 0;
  double deviation = 1;

  double propensity(double x0) const {
    return 1 / (1 + std::exp(-(selection * x0 / 2 + curved_propensity * (x0 * x0 - 1))));
  }
  double ate() const { return 1; }
  double att() const { return 1 + heterogeneity * mean_x0(0); }
  double ato() const { return 1 + heterogeneity * mean_x0(1); }

 private:
  /// E[w x0] / E[w] with w = e (kind 0) or e (1 - e) (kind 1), by the trapezium rule.
  double mean_x0(int kind) const {
    double top = 0, bottom = 0;
    for (double z = -8; z <= 8; z += 0.01) {
      const double e = propensity(z);
      const double w = std::exp(-z * z / 2) * (kind == 0 ? e : e * (1 - e));
      top += w * z;
      bottom += w;
    }
    return top / bottom;
  }
};

inline Study draw(const Law& law, base::Rng& rng) {
  Study s;
  const auto n = static_cast<Eigen::Index>(law.n);
  s.outcome.resize(n);
  s.treatment.resize(n);
  s.x.resize(n, 3);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < 3; ++j) s.x(i, j) = rng.normal();
    const double x0 = s.x(i, 0);
    const double u = rng.normal();
    const double odds = law.selection * x0 / 2 + law.curved_propensity * (x0 * x0 - 1) + law.hidden * u;
    s.treatment(i) = rng.bernoulli(1 / (1 + std::exp(-odds))) ? 1 : 0;
    s.outcome(i) = x0 + 0.5 * s.x(i, 1) + law.curved_outcome * (x0 * x0 - 1) + law.hidden * u +
                   (1 + law.heterogeneity * x0) * s.treatment(i) + law.deviation * rng.normal();
    if (law.collider > 0) s.x(i, 2) = (s.treatment(i) + s.outcome(i)) / 2 + rng.normal() / 2;
    if (law.leak > 0) s.x(i, 2) = s.outcome(i) + 0.3 * rng.normal();
    s.rows.push_back(static_cast<std::size_t>(i));
  }
  s.columns = s.covariates = {"x0", "x1", "x2"};
  s.covariate = {0, 1, 2};
  s.levels = 2;
  s.binary = true;
  s.treated = "1";
  s.untreated = "0";
  s.treatment_name = "t";
  s.outcome_name = "y";
  return s;
}

}  // namespace plumbline::counterfactual::effects
