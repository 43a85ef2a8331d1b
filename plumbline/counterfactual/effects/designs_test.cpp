#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/effects/differences.hpp"
#include "plumbline/counterfactual/effects/discontinuity.hpp"
#include "plumbline/counterfactual/effects/instrument.hpp"
#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/counterfactual/effects/test_support.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using ::testing::HasSubstr;
using Index = Eigen::Index;

// Regression discontinuity.

struct Threshold {
  VectorD x, y, t;
};

/// y = sin(2 x) + x^2 + jump 1{x >= 0} + noise; fuzzy: t drawn with probability 0.2 below and 0.8 above, jump of t.
Threshold threshold(int n, double jump, base::Rng& rng, bool fuzzy = false, double curvature = 1) {
  Threshold out{VectorD(n), VectorD(n), VectorD(n)};
  for (Index i = 0; i < n; ++i) {
    const double x = out.x(i) = rng.uniform(-1, 1);
    out.t(i) = fuzzy ? rng.bernoulli(x >= 0 ? 0.8 : 0.2) : x >= 0;
    out.y(i) = std::sin(2 * x) + curvature * x * x + jump * out.t(i) + 0.3 * rng.normal();
  }
  return out;
}

TEST(Discontinuity, ExactOnLinesAndTheBiasIsExactOnParabolas) {
  base::Rng rng(1);
  Threshold d = threshold(300, 0, rng);
  for (Index i = 0; i < 300; ++i) d.y(i) = 1 + 2 * d.x(i) + (d.x(i) >= 0 ? 3 + d.x(i) : 0);
  Discontinuity fit = fit_discontinuity(d.x, d.y, {}, {}, {.bandwidth = 0.4}).value();
  EXPECT_NEAR(fit.conventional, 3, 1e-9);
  EXPECT_NEAR(fit.corrected, 3, 1e-8);
  for (Index i = 0; i < 300; ++i) d.y(i) = d.x(i) * d.x(i) * (d.x(i) >= 0 ? 5 : -2) + (d.x(i) >= 0 ? 3 : 0);
  fit = fit_discontinuity(d.x, d.y, {}, {}, {.bandwidth = 0.4}).value();
  EXPECT_GT(std::abs(fit.conventional - 3), 0.01);
  EXPECT_NEAR(fit.corrected, 3, 1e-8);
  // The slow plain formula: weighted least squares on either side.
  double plain = 0;
  for (const bool above : {true, false}) {
    std::vector<std::size_t> rows;
    for (Index i = 0; i < 300; ++i)
      if ((d.x(i) >= 0) == above) rows.push_back(static_cast<std::size_t>(i));
    const VectorD x = take_rows(d.x, rows);
    VectorD w = (1 - x.array().abs() / 0.4).max(0);
    plain += (above ? 1 : -1) * least_squares(MatrixD(x), take_rows(d.y, rows), w).value().intercept;
  }
  EXPECT_NEAR(fit.conventional, plain, 1e-9);
}

TEST(Discontinuity, InvariantToUnitsAndMirrors) {
  base::Rng rng(2);
  const Threshold d = threshold(500, 1, rng);
  const Discontinuity a = fit_discontinuity(d.x, d.y, {}, {}, {}).value();
  const Discontinuity b = fit_discontinuity(100 * d.x.array() + 7, 5 - 2 * d.y.array(), {}, {}, {.cutoff = 7}).value();
  EXPECT_NEAR(b.bandwidth, 100 * a.bandwidth, 1e-6 * b.bandwidth);
  EXPECT_NEAR(b.conventional, -2 * a.conventional, 1e-7);
  EXPECT_NEAR(b.robust_error, 2 * a.robust_error, 1e-7);
  const Discontinuity mirrored = fit_discontinuity(-d.x, d.y, {}, {}, {}).value();
  EXPECT_NEAR(mirrored.conventional, -a.conventional, 1e-9);
}

TEST(Discontinuity, FuzzyIsTheRatioOfTheJumps) {
  base::Rng rng(3);
  const Threshold d = threshold(2000, 1, rng, true);
  const Discontinuity y = fit_discontinuity(d.x, d.y, {}, {}, {.bandwidth = 0.5}).value();
  const Discontinuity t = fit_discontinuity(d.x, d.t, {}, {}, {.bandwidth = 0.5}).value();
  const Discontinuity fuzzy = fit_discontinuity(d.x, d.y, d.t, {}, {.bandwidth = 0.5}).value();
  EXPECT_NEAR(fuzzy.conventional, y.conventional / t.conventional, 1e-10);
  EXPECT_NEAR(fuzzy.first_stage, t.conventional, 1e-12);
  // A treatment that does not jump has no effect to divide by.
  VectorD lot(2000);
  for (Index i = 0; i < 2000; ++i) lot(i) = rng.bernoulli(0.5);
  EXPECT_EQ(fit_discontinuity(d.x, d.y, lot, {}, {}).value().outcome, Outcome::kCannotSay);
}

TEST(Discontinuity, MassPointsAndBadInput) {
  base::Rng rng(4);
  Threshold d = threshold(400, 1, rng);
  VectorD coarse = (d.x * 4).array().floor() / 4;
  const Discontinuity few = fit_discontinuity(coarse, d.y, {}, {}, {}).value();
  EXPECT_EQ(few.outcome, Outcome::kCannotSay);
  EXPECT_THAT(few.reasons.front(), HasSubstr("4 values below"));
  coarse = (d.x * 30).array().floor() / 30;
  const Discontinuity some = fit_discontinuity(coarse, d.y, {}, {}, {}).value();
  EXPECT_EQ(some.outcome, Outcome::kWarns);
  EXPECT_THAT(some.reasons.front(), HasSubstr("mass points"));
  EXPECT_THAT(fit_discontinuity(d.x, d.y, {}, {}, {.cutoff = 3}).error().text(), HasSubstr("outside"));
  EXPECT_THAT(fit_discontinuity(d.x, d.y, {}, {}, {.cutoff = 0, .degree = 9}).error().text(), HasSubstr("degree"));
  EXPECT_EQ(fit_discontinuity(d.x, d.y, {}, {}, {.cutoff = 0.99}).value().outcome, Outcome::kCannotSay);
}

TEST(DiscontinuityStatistical, RobustIntervalsCover) {
  // 300 draws of 500 rows at 0.95; the nearest-neighbour variance makes the interval a little short at this size
  // (Calonico, Cattaneo, Titiunik 2014 measure 0.92 to 0.94), so 0.93 is what must not be refuted.
  int unsure = 0;
  const int covered = testing::count_seeds(300, [&](base::Rng& rng) {
    const Threshold d = threshold(500, 1, rng);
    const Discontinuity fit = fit_discontinuity(d.x, d.y, {}, {}, {}).value();
    if (fit.outcome != Outcome::kSays) ++unsure;
    return *fit.estimate().low() <= 1 && 1 <= *fit.estimate().high();
  });
  EXPECT_GE(covered, testing::binomial_floor(300, 0.93)) << covered;
  EXPECT_EQ(unsure, 0);
  const int fuzzy = testing::count_seeds(150, [&](base::Rng& rng) {
    const Threshold d = threshold(1500, 1, rng, true);
    const Discontinuity fit = fit_discontinuity(d.x, d.y, d.t, {}, {}).value();
    return fit.estimate().low() && *fit.estimate().low() <= 1 && 1 <= *fit.estimate().high();
  });
  EXPECT_GE(fuzzy, testing::binomial_floor(150, 0.93)) << fuzzy;
}

TEST(DiscontinuityStatistical, HeapingIsFoundAndSmoothDensitiesPass) {
  // Level 0.05 over 400 draws: at most the upper edge of its band.
  const int alarms = testing::count_seeds(400, [&](base::Rng& rng) {
    VectorD x(1000);
    for (Index i = 0; i < 1000; ++i) x(i) = rng.normal(0.3, 1);
    return density_test(x, 0).value().p_value < 0.05;
  });
  EXPECT_LE(alarms, testing::binomial_band(400, 0.05).high) << alarms;
  // A third of those just below move above.
  const int found = testing::count_seeds(50, [&](base::Rng& rng) {
    VectorD x(2000);
    for (Index i = 0; i < 2000; ++i) {
      x(i) = rng.normal(0.3, 1);
      if (x(i) < 0 && x(i) > -0.3 && rng.bernoulli(0.5)) x(i) = -x(i);
    }
    return density_test(x, 0).value().p_value < 0.05;
  });
  EXPECT_GE(found, 45);
}

// Instruments.

Study instrumented(int n, double strength, base::Rng& rng, int instruments = 1, double direct = 0) {
  Study s;
  s.outcome.resize(n);
  s.treatment.resize(n);
  s.x.resize(n, 1);
  s.instruments.resize(n, instruments);
  for (Index i = 0; i < n; ++i) {
    const double u = rng.normal();
    s.x(i, 0) = rng.normal();
    double push = 0;
    for (Index j = 0; j < instruments; ++j) push += s.instruments(i, j) = rng.normal() + 0.5 * s.x(i, 0);
    s.treatment(i) = strength * push + u + 0.3 * s.x(i, 0) + rng.normal();
    s.outcome(i) = 0.5 * s.treatment(i) + u + s.x(i, 0) + direct * s.instruments(i, 0) + rng.normal();
    s.rows.push_back(static_cast<std::size_t>(i));
  }
  s.columns = s.covariates = {"x"};
  s.covariate = {0};
  s.levels = 3;
  return s;
}

TEST(Instrument, OneInstrumentIsARatioAndItsSetAQuadratic) {
  base::Rng rng(5);
  for (const double strength : {1.0, 0.06, 0.0}) {
    const Study s = instrumented(400, strength, rng);
    const InstrumentFit fit = fit_instrument(s).value();
    MatrixD with(400, 2);
    with.col(0) = s.instruments.col(0);
    with.col(1) = s.x.col(0);
    const LeastSquares y = least_squares(with, s.outcome).value(), t = least_squares(with, s.treatment).value();
    EXPECT_NEAR(fit.value, y.coefficients(0) / t.coefficients(0), 1e-8);
    EXPECT_NEAR(fit.first_stage[0], t.coefficients(0), 1e-9);
    EXPECT_NEAR(fit.reduced_form, y.coefficients(0), 1e-9);
    // (g_y - b g_t)^2 <= c (v_yy - 2 b v_yt + b^2 v_tt): roots in closed form.
    const VectorD ey = coefficient_influence(y, with, 0, false), et = coefficient_influence(t, with, 0, false);
    const double f = 400.0 / 397 / (400.0 * 400.0);
    const double c = stats::f_quantile(0.95, 1, 397);
    const double gy = y.coefficients(0), gt = t.coefficients(0);
    const double a2 = gt * gt - c * f * et.squaredNorm();
    const double a1 = -2 * gy * gt + 2 * c * f * ey.dot(et);
    const double a0 = gy * gy - c * f * ey.squaredNorm();
    const double root = a1 * a1 - 4 * a2 * a0;
    if (a2 > 0) {
      ASSERT_EQ(fit.region.size(), 1u);
      EXPECT_NEAR(fit.region[0].first, (-a1 - std::sqrt(root)) / (2 * a2), 1e-6);
      EXPECT_NEAR(fit.region[0].second, (-a1 + std::sqrt(root)) / (2 * a2), 1e-6);
    } else if (root > 0) {
      ASSERT_EQ(fit.region.size(), 2u);
      EXPECT_TRUE(std::isinf(fit.region[0].first));
      EXPECT_NEAR(fit.region[0].second / ((-a1 + std::sqrt(root)) / (2 * a2)), 1, 1e-6);
      EXPECT_TRUE(std::isinf(fit.region[1].second));
    } else {
      ASSERT_EQ(fit.region.size(), 1u);
      EXPECT_TRUE(std::isinf(fit.region[0].first) && std::isinf(fit.region[0].second));
    }
    EXPECT_EQ(fit.outcome == Outcome::kCannotSay, fit.first_stage_f < 10);
  }
}

TEST(Instrument, ContradictoryInstrumentsLeaveAnEmptySet) {
  base::Rng rng(6);
  const InstrumentFit fit = fit_instrument(instrumented(2000, 1, rng, 2, 3)).value();
  EXPECT_EQ(fit.outcome, Outcome::kCannotSay);
  EXPECT_TRUE(fit.region.empty());
  EXPECT_LT(fit.overidentified_p, 1e-6);
  EXPECT_THAT(fit.reasons.front(), HasSubstr("no value of the effect"));
  Study none = instrumented(100, 1, rng);
  none.instruments.col(0) = none.x.col(0);
  EXPECT_EQ(fit_instrument(none).value().outcome, Outcome::kCannotSay);
  none.treatment.setOnes();
  EXPECT_FALSE(fit_instrument(none).ok());
}

TEST(InstrumentStatistical, BothIntervalsCoverAndTheSetAlsoWhereTheInstrumentIsWeak) {
  int says = 0, covered = 0, set = 0, weak = 0, abstained = 0;
  const auto holds = [](const InstrumentFit& fit) {
    for (const auto& piece : fit.region)
      if (piece.first <= 0.5 && 0.5 <= piece.second) return true;
    return false;
  };
  testing::count_seeds(400, [&](base::Rng& rng) {
    const InstrumentFit fit = fit_instrument(instrumented(300, 1, rng)).value();
    says += fit.outcome == Outcome::kSays;
    covered += *fit.estimate.low() <= 0.5 && 0.5 <= *fit.estimate.high();
    set += holds(fit);
    const InstrumentFit poor = fit_instrument(instrumented(300, 0.05, rng)).value();
    weak += holds(poor);
    abstained += poor.outcome == Outcome::kCannotSay;
    return true;
  });
  const testing::Band band = testing::binomial_band(400, 0.95);
  EXPECT_GE(says, 380);
  EXPECT_TRUE(band.contains(covered)) << covered;
  EXPECT_TRUE(band.contains(set)) << set;
  EXPECT_TRUE(band.contains(weak)) << weak;
  EXPECT_GE(abstained, 380);
}

// Differences in differences.

/// `units` units over `periods`; cohorts get the treatment at 3 (and 4 with `staggered`); effect 1, growing by 0.5 a
/// period; treated units drift by `drift` a period without it.
Study panel(int units, int periods, bool staggered, double drift, base::Rng& rng) {
  Study s;
  const Index n = static_cast<Index>(units) * periods;
  s.outcome.resize(n);
  s.treatment.resize(n);
  s.time.resize(n);
  s.x.resize(n, 0);
  for (int u = 0; u < units; ++u) {
    const int start = u % 2 == 0 ? 1000 : staggered && u % 4 == 1 ? 4 : 3;
    const double own = rng.normal();
    for (int t = 0; t < periods; ++t) {
      const Index i = static_cast<Index>(u) * periods + t;
      const bool on = t >= start;
      s.time(i) = 2000 + t;
      s.treatment(i) = on;
      s.units.push_back(u);
      s.rows.push_back(static_cast<std::size_t>(i));
      s.outcome(i) =
          own + 0.3 * t + (on ? 1 + 0.5 * (t - start) : 0) + (start < 1000 ? drift * t : 0) + 0.5 * rng.normal();
    }
  }
  s.levels = 2;
  return s;
}

TEST(Differences, TwoPeriodsAreTheDifferenceOfDifferencesAndTwoWayEffects) {
  base::Rng rng(7);
  Study s = panel(40, 5, false, 0, rng);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < s.n(); ++i)
    if (s.time(static_cast<Index>(i)) == 2002 || s.time(static_cast<Index>(i)) == 2003) rows.push_back(i);
  const Study two = s.take(rows);
  double change[2] = {0, 0};
  for (Index i = 0; i + 1 < two.outcome.size(); i += 2)
    change[two.treatment(i + 1) > 0.5 ? 1 : 0] += (two.outcome(i + 1) - two.outcome(i)) / 20;
  const DifferencesFit fit = fit_differences(two).value();
  EXPECT_NEAR(fit.estimate.value, change[1] - change[0], 1e-12);
  EXPECT_NEAR(fit.two_way, change[1] - change[0], 1e-12);
  EXPECT_TRUE(std::isnan(fit.pretrend_p));
  EXPECT_EQ(fit.units, 40u);
}

TEST(Differences, CannotSayAndBadInput) {
  base::Rng rng(8);
  const Study s = panel(40, 5, true, 0, rng);
  Study bad = s;
  bad.treatment.setOnes();
  EXPECT_EQ(fit_differences(bad).value().outcome, Outcome::kCannotSay);
  bad = s;
  for (Index i = 0; i < bad.treatment.size(); ++i)
    if (bad.time(i) == 2004) bad.treatment(i) = 0;
  EXPECT_THAT(fit_differences(bad).value().reasons.front(), HasSubstr("ends"));
  bad = s;
  bad.time(1) = bad.time(0);
  EXPECT_THAT(fit_differences(bad).error().text(), HasSubstr("second of its unit"));
  bad = s;
  bad.treatment(0) = 2;
  EXPECT_THAT(fit_differences(bad).error().text(), HasSubstr("of 0 and 1"));
  std::vector<std::size_t> rows;
  for (std::size_t i = 1; i < s.n(); ++i) rows.push_back(i);
  const DifferencesFit fit = fit_differences(s.take(rows)).value();
  EXPECT_EQ(fit.dropped, 1u);
  EXPECT_EQ(fit.outcome, Outcome::kWarns);
}

TEST(DifferencesStatistical, IntervalsCoverAndDriftIsFound) {
  const testing::Band band = testing::binomial_band(400, 0.95);
  int covered = 0, unsure = 0;
  testing::count_seeds(400, [&](base::Rng& rng) {
    // Truth: cohort 3 has 1, 1.5, 2 and cohort 4 has 1, 1.5 in equal sizes: 7 / 5.
    const DifferencesFit fit = fit_differences(panel(60, 6, true, 0, rng)).value();
    covered += *fit.estimate.low() <= 1.4 && 1.4 <= *fit.estimate.high();
    unsure += fit.outcome != Outcome::kSays;
    return true;
  });
  EXPECT_TRUE(band.contains(covered)) << covered;
  // The test of the periods before alarms at 0.05.
  EXPECT_LE(unsure, testing::binomial_band(400, 0.05).high) << unsure;
  const int found = testing::count_seeds(50, [&](base::Rng& rng) {
    return fit_differences(panel(60, 6, true, 0.4, rng)).value().outcome == Outcome::kWarns;
  });
  EXPECT_GE(found, 45);
}

}  // namespace
}  // namespace plumbline::counterfactual::effects
