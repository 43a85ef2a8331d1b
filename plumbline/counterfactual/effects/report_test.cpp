#include "plumbline/counterfactual/effects/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/counterfactual/effects/test_support.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using ::testing::HasSubstr;
using Index = Eigen::Index;

const base::Rng kRng(2, {"report test"});

// Sensitivity.

TEST(Sensitivity, ConfounderOfKnownStrengthMakesExactlyThatBias) {
  base::Rng rng(1);
  const Study s = draw({.n = 400, .hidden = 1}, rng);
  VectorD z(400);
  for (Index i = 0; i < 400; ++i) z(i) = 0.5 * s.outcome(i) + s.treatment(i) + rng.normal();
  MatrixD with(400, 4), all(400, 5), given(400, 4);
  with << s.treatment, s.x;
  all << s.treatment, s.x, z;
  given << s.x, z;
  const LeastSquares longer = least_squares(all, s.outcome).value(), shorter = least_squares(with, s.outcome).value();
  const double y = 1 - longer.residuals.squaredNorm() / shorter.residuals.squaredNorm();
  const double d = 1 - least_squares(given, s.treatment).value().residuals.squaredNorm() /
                           least_squares(s.x, s.treatment).value().residuals.squaredNorm();
  const PartialR2 fit = partial_r2(s).value();
  EXPECT_NEAR(bias_of(fit, d, y), std::abs(longer.coefficients(0) - shorter.coefficients(0)), 1e-10);
  // A confounder with robustness value as both leaves nothing.
  EXPECT_NEAR(bias_of(fit, fit.robustness, fit.robustness), std::abs(fit.estimate), 1e-10);
  // Partial R-squared of a covariate: by the sums of squares with and without it.
  const Study rest = s.without(0);
  MatrixD rest_with(400, 3);
  rest_with << rest.treatment, rest.x;
  const auto b = std::find_if(fit.benchmarks.begin(), fit.benchmarks.end(),
                              [](const Benchmark& x) { return x.covariate == "x0"; });
  ASSERT_NE(b, fit.benchmarks.end());
  EXPECT_NEAR(b->with_outcome,
              1 - shorter.residuals.squaredNorm() / least_squares(rest_with, s.outcome).value().residuals.squaredNorm(),
              1e-10);
  EXPECT_NEAR(b->with_treatment,
              1 - least_squares(s.x, s.treatment).value().residuals.squaredNorm() /
                      least_squares(rest.x, s.treatment).value().residuals.squaredNorm(),
              1e-10);
}

TEST(Sensitivity, EValuesAndSignedRanks) {
  // VanderWeele and Ding 2017: risk ratio 3.9 has the E-value 7.26, its bound 1.8 has 3.0.
  Study s;
  s.outcome.resize(20);
  s.treatment.resize(20);
  for (Index i = 0; i < 20; ++i) {
    s.treatment(i) = i < 10;
    s.outcome(i) = i % 10 == 0;
  }
  s.binary_outcome = true;
  stats::Estimate e;
  e.value = 0.29;
  e.bounds = stats::make_bounds([](double) { return 0.08; }, [](double) { return 0.5; });
  EXPECT_NEAR(e_value(s, e)->figure, 3.9 + std::sqrt(3.9 * 2.9), 1e-12);
  EXPECT_NEAR(e_value(s, e)->bound, 3.0, 1e-12);
  // Signed ranks at 1: 1 - 10 all positive: W = 55, mean 27.5, variance 96.25.
  const std::vector<double> up = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_NEAR(signed_rank_p(up, 1), 0.5 * std::erfc(27.5 / std::sqrt(96.25) / std::sqrt(2.0)), 1e-12);
  // Gamma 3: mean 3/4 of 55, variance 3/16 of 385.
  EXPECT_NEAR(signed_rank_p(up, 3), 0.5 * std::erfc(13.75 / std::sqrt(385 * 3.0 / 16) / std::sqrt(2.0)), 1e-12);
}

// The whole answer.

std::string csv_of(const Study& s) {
  std::string out = "t,y,x0,x1,x2\n";
  for (Index i = 0; i < s.x.rows(); ++i)
    out +=
        fmt::format("{},{:.6f},{:.6f},{:.6f},{:.6f}\n", s.treatment(i), s.outcome(i), s.x(i, 0), s.x(i, 1), s.x(i, 2));
  return out;
}

Question ask() {
  Question q;
  q.columns = {.treatment = "t", .outcome = "y", .covariates = {"x0", "x1", "x2"}};
  return q;
}

Report answer(const Law& law, const Question& q, std::uint64_t seed = 3) {
  base::Rng rng(seed);
  return answer_question(table_of(csv_of(draw(law, rng))), q, kRng).value();
}

bool alarms(const Report& r, std::string_view kind) {
  return std::any_of(r.probes.begin(), r.probes.end(), [&](const Probe& p) { return p.kind == kind && p.alarming; });
}

TEST(EffectReport, SaysWithAllThatSpeaksForIt) {
  Question q = ask();
  q.groups = "x0";
  const Report r = answer({.n = 600, .heterogeneity = 0.5}, q);
  EXPECT_EQ(r.answer.outcome, Outcome::kSays) << fmt::format("{}", r.answer.reasons.empty() ? "" : r.answer.reasons[0]);
  EXPECT_EQ(r.answer.label, "aipw");
  EXPECT_EQ(r.others.size(), 7u);
  EXPECT_EQ(r.groups.size(), 4u);
  EXPECT_LT(r.groups.front().estimate.value, r.groups.back().estimate.value);
  EXPECT_EQ(r.balance.size(), 3u);
  EXPECT_TRUE(r.overlap && r.partial && r.e_value && r.rosenbaum);
  EXPECT_THAT(r.experiment, HasSubstr("draw by lot"));
  EXPECT_GT(r.rosenbaum->gamma, 1.5);
}

TEST(EffectReport, NoExperimentNoAnswer) {
  Question q = ask();
  q.experiment = "none";
  EXPECT_TRUE(answer({}, q).cannot_say());
  const data::Table table = table_of("sex,wage\n" + [] {
    std::string rows;
    for (int i = 0; i < 40; ++i) rows += fmt::format("{},{}\n", i % 2, i);
    return rows;
  }());
  q = {};
  q.columns = {.treatment = "sex", .outcome = "wage"};
  Report r = answer_question(table, q, kRng).value();
  EXPECT_TRUE(r.cannot_say());
  EXPECT_THAT(r.answer.reasons.front(), HasSubstr("--experiment"));
  q.experiment = "send the same letters under names of either kind";
  r = answer_question(table, q, kRng).value();
  EXPECT_FALSE(r.cannot_say());
  EXPECT_EQ(r.experiment, q.experiment);
}

TEST(EffectReport, GraphChoosesAndForbids) {
  Question q = ask();
  q.columns.covariates.clear();
  q.graph = causal::parse_graph("x0 -> t; x0 -> y; x1 -> y; t -> y; t -> x2; y -> x2", "graph").value();
  Report r = answer({.n = 500, .collider = 1}, q);
  EXPECT_THAT(r.adjusted, ::testing::ElementsAre("x0"));
  EXPECT_NEAR(r.answer.estimate.value, 1, 0.35);
  EXPECT_NE(r.answer.outcome, Outcome::kCannotSay);
  q.columns.covariates = {"x0", "x2"};
  r = answer({.n = 500, .collider = 1}, q);
  EXPECT_TRUE(alarms(r, "graph"));
  EXPECT_EQ(r.answer.outcome, Outcome::kWarns);
  q.columns.covariates = {"x1"};
  r = answer({.n = 500}, q);
  EXPECT_TRUE(alarms(r, "graph"));
  q.columns.covariates.clear();
  q.graph = causal::parse_graph("x0 -> y; t -> y; t <-> y", "graph").value();
  r = answer({.n = 500}, q);
  EXPECT_TRUE(r.cannot_say());
  EXPECT_THAT(r.answer.reasons.front(), HasSubstr("identify"));
}

TEST(EffectReport, ACutOffWithoutATreatmentAndAFuzzyOne) {
  base::Rng rng(6);
  std::string rows = "t,y,run,x\n";
  for (int i = 0; i < 1000; ++i) {
    const double run = rng.uniform(-1, 1);
    const int t = rng.bernoulli(run >= 0 ? 0.8 : 0.2) ? 1 : 0;
    rows += fmt::format("{},{:.5f},{:.5f},{:.5f}\n", t, run + t + 0.3 * rng.normal(), run, rng.normal());
  }
  Question q;
  q.columns = {.outcome = "y", .covariates = {"x"}, .running = "run"};
  q.cutoff = 0;
  const Report sharp = answer_question(table_of(rows), q, kRng).value();
  EXPECT_NEAR(sharp.answer.estimate.value, 0.6, 0.25);
  q.columns.treatment = "t";
  const Report fuzzy = answer_question(table_of(rows), q, kRng).value();
  EXPECT_EQ(fuzzy.answer.label, "fuzzy, local linear");
  EXPECT_NEAR(fuzzy.answer.estimate.value, 1, 0.35);
  for (const Report* r : {&sharp, &fuzzy}) {
    EXPECT_EQ(r->others.size(), 3u);
    EXPECT_EQ(
        std::count_if(r->probes.begin(), r->probes.end(), [](const Probe& p) { return p.kind == "placebo cut-off"; }),
        6);
  }
}

TEST(EffectReport, DesignsDoNotMix) {
  Question q = ask();
  q.columns.instruments = {"x2"};
  q.columns.running = "x1";
  EXPECT_THAT(answer_question(table_of("t,y,x0,x1,x2\n0,1,2,3,4\n"), q, kRng).error().text(),
              HasSubstr("different designs"));
  q = ask();
  q.cutoff = 1;
  EXPECT_THAT(answer_question(table_of("t,y,x0,x1,x2\n0,1,2,3,4\n"), q, kRng).error().text(), HasSubstr("cut-off"));
  q = ask();
  EXPECT_THAT(answer_question(table_of("t,y,x0,x1,x2\n0,1,2,3,4\n"), q, kRng).error().text(), HasSubstr("at least 10"));
  q.columns.unit = "x0";
  EXPECT_THAT(answer_question(table_of("t,y,x0,x1,x2\n0,1,2,3,4\n"), q, kRng).error().text(), HasSubstr("a time"));
}

// Attacks: planted violations that the report must see, and their false alarms.

TEST(EffectReportStatistical, PlantedViolationsAreFlaggedAndCleanStudiesSeldom) {
  int hidden = 0, leak = 0, collider = 0, unsure = 0, negative = 0;
  constexpr int kDraws = 40;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    // A hidden confounder moves a negative outcome too.
    Study confounded = draw({.n = 500, .hidden = 1}, rng);
    const PartialR2 of = partial_r2(confounded).value();
    VectorD other(500);
    base::Rng noise = rng.fork("negative");
    // What y holds beyond treatment and covariates is mostly the hidden cause here.
    for (Index i = 0; i < 500; ++i)
      other(i) = confounded.outcome(i) - confounded.treatment(i) - confounded.x(i, 0) - 0.5 * confounded.x(i, 1) +
                 noise.normal();
    confounded.negatives = other;
    confounded.negative_names = {"before"};
    EffectOptions o;
    hidden +=
        negative_outcomes(confounded, Method::kAipw, o, rng.fork("n")).value().front().alarming && of.robustness > 0;

    leak += !outcome_in_disguise(draw({.n = 500, .leak = 1}, rng)).value().empty();
    const auto without = without_each(draw({.n = 500, .collider = 1}, rng), Method::kAipw, o, rng.fork("w")).value();
    collider +=
        std::any_of(without.begin(), without.end(), [](const Probe& p) { return p.name == "x2" && !p.words.empty(); });

    Study clean = draw({.n = 500}, rng);
    for (Index i = 0; i < 500; ++i) other(i) = clean.x(i, 0) + noise.normal();
    clean.negatives = other;
    clean.negative_names = {"before"};
    negative += negative_outcomes(clean, Method::kAipw, o, rng.fork("n")).value().front().alarming;
    unsure += placebo_treatment(clean, Method::kAipw, o, rng.fork("p")).value().alarming;
    unsure += !outcome_in_disguise(clean).value().empty();
    return true;
  });
  EXPECT_GE(hidden, 38);
  EXPECT_EQ(leak, kDraws);
  EXPECT_GE(collider, 38);
  EXPECT_LE(negative, testing::binomial_band(kDraws, 0.05).high);
  EXPECT_LE(unsure, 1);
}

}  // namespace
}  // namespace plumbline::counterfactual::effects
