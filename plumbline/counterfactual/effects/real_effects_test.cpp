// Published figures on public data (the README of the data says which copies and by whom).
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/effects/discontinuity.hpp"
#include "plumbline/counterfactual/effects/instrument.hpp"
#include "plumbline/counterfactual/effects/report.hpp"
#include "plumbline/counterfactual/effects/test_support.hpp"
#include "plumbline/data/bytes.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;
using Names = std::vector<std::string>;

const base::Rng kRng(3, {"real effects"});
const Names kLalonde = {"age", "educ", "black", "hisp", "marr", "nodeg", "re74", "re75"};

data::Table csv(const std::string& path) { return data::read_csv(path).value(); }

Effect effect(const Study& s, Method method, Estimand estimand = Estimand::kAte) {
  EffectOptions o;
  o.estimand = estimand;
  return estimate_effect(s, method, o, kRng).value();
}

/// The treated of one table with the controls of another, columns by name.
data::Table joined(const data::Table& experiment, const data::Table& controls, const Names& names) {
  data::Table out;
  for (const std::string& name : names) {
    data::Column column = *controls.find(name);
    const data::Column& more = *experiment.find(name);
    const data::Column& treated = *experiment.find("trt");
    for (std::size_t i = 0; i < more.numbers.size(); ++i)
      if (treated.numbers[i] == 1) column.numbers.push_back(more.numbers[i]);
    out.columns.push_back(std::move(column));
  }
  return out;
}

TEST(RealEffects, TheJobTrainingExperiment) {
  PL_NEEDS_DATA(small, "causal/lalonde/nsw_dehejia_wahba.csv");
  PL_NEEDS_DATA(full, "causal/lalonde/nsw_lalonde_full.csv");
  const Effect a = effect(make_study(csv(small), {.treatment = "trt", .outcome = "re78"}).value(), Method::kDifference);
  EXPECT_NEAR(a.estimate.value, 1794.34, 0.005);
  EXPECT_NEAR(a.standard_error, 671.0, 0.05);
  const Effect b = effect(make_study(csv(full), {.treatment = "trt", .outcome = "re78"}).value(), Method::kDifference);
  EXPECT_NEAR(b.estimate.value, 886.30, 0.005);
  EXPECT_NEAR(b.standard_error, 488.2, 0.05);
}

TEST(RealEffects, TheSameTreatedAgainstSurveyControls) {
  PL_NEEDS_DATA(small, "causal/lalonde/nsw_dehejia_wahba.csv");
  PL_NEEDS_DATA(psid, "causal/lalonde/psid1_controls.csv");
  Names names = kLalonde;
  names.insert(names.end(), {"trt", "re78"});
  const data::Table table = joined(csv(small), csv(psid), names);
  const Study s = make_study(table, {.treatment = "trt", .outcome = "re78", .covariates = kLalonde}).value();
  EXPECT_NEAR(effect(s, Method::kDifference).estimate.value, -15204.78, 0.005);
  const Effect ols = effect(s, Method::kOls);
  EXPECT_NEAR(ols.estimate.value, 751.9, 0.05);
  EXPECT_NEAR(ols.standard_error, 783.3, 10);  // the source's is HC1, ours HC2
  EXPECT_EQ(ols.outcome, Outcome::kWarns);
  // Nine tenths of the survey had no chance of the training: no effect over all rows.
  for (const Method m : {Method::kIpw, Method::kAipw, Method::kTmle})
    EXPECT_EQ(effect(s, m).outcome, Outcome::kCannotSay) << method_name(m);
  // Weights on the treated with squares and dummies for no earnings (Hajek).
  Names rich = kLalonde;
  rich.insert(rich.end(), {"age^2", "educ^2", "re74^2", "re75^2", "re74=0", "re75=0"});
  const Study r = make_study(table, {.treatment = "trt", .outcome = "re78", .covariates = rich}).value();
  const Effect hajek = effect(r, Method::kIpw, Estimand::kAtt);
  EXPECT_NE(hajek.outcome, Outcome::kSays);
}

TEST(RealEffects, MatchItsLeastSquares) {
  PL_NEEDS_DATA(path, "causal/lalonde/matchit_lalonde.csv");
  const Study s = make_study(csv(path), {.treatment = "treat",
                                         .outcome = "re78",
                                         .covariates = {"age", "educ", "race", "married", "nodegree", "re74", "re75"}})
                      .value();
  EXPECT_NEAR(effect(s, Method::kDifference).estimate.value, -635.03, 0.005);
  const PartialR2 ols = partial_r2(s).value();
  EXPECT_NEAR(ols.estimate, 1548.24, 0.005);
  EXPECT_NEAR(ols.standard_error, 781.28, 0.005);
}

TEST(RealEffects, SmokingCessationAndWeight) {
  PL_NEEDS_DATA(path, "causal/nhefs/nhefs_complete.csv");
  const Names nine = {
      "sex",      "race",       "age",           "age^2",       "cat(education)", "smokeintensity", "smokeintensity^2",
      "smokeyrs", "smokeyrs^2", "cat(exercise)", "cat(active)", "wt71",           "wt71^2"};
  const data::Table table = csv(path);
  const Study s = make_study(table, {.treatment = "qsmk", .outcome = "wt82_71", .covariates = nine}).value();
  EXPECT_EQ(s.n(), 1566u);
  EXPECT_EQ(s.treated_rows(), 403u);
  EXPECT_NEAR(effect(s, Method::kDifference).estimate.value, 2.54, 0.005);
  const Effect ipw = effect(s, Method::kIpw);
  EXPECT_NEAR(ipw.estimate.value, 3.44, 0.005);
  EXPECT_NEAR(*ipw.estimate.low(), 2.4, 0.15);
  EXPECT_NEAR(*ipw.estimate.high(), 4.5, 0.15);
  EXPECT_EQ(ipw.outcome, Outcome::kSays);
  // The book's standardisation: 3.5 (2.6, 4.5). Another model may differ by a part of the standard error, 0.5.
  for (const Method m : {Method::kAipw, Method::kTmle, Method::kRegression, Method::kEntropy})
    EXPECT_NEAR(effect(s, m).estimate.value, 3.5, 0.35) << method_name(m);
}

TEST(RealEffects, ClassSizeByMaimonidesRule) {
  PL_NEEDS_DATA(path, "causal/maimonides/grade5_cleaned.csv");
  data::Table table = csv(path);
  const std::vector<double> enrolled = table.find("enrollment")->numbers;
  data::Column rule{.name = "rule"};
  for (const double e : enrolled) rule.numbers.push_back(e / (std::floor((e - 1) / 40) + 1));
  table.columns.push_back(rule);
  struct Case {
    const char* outcome;
    Names covariates;
    double value, error;
  };
  // The overview of the data prints three digits of value and error, clustered by school.
  for (const Case& c :
       {Case{"avgread", {"pct_disadv"}, -0.158, 0.042}, Case{"avgread", {"pct_disadv", "enrollment"}, -0.277, 0.076},
        Case{"avgread", {"pct_disadv", "enrollment", "enrollment^2"}, -0.263, 0.094},
        Case{"avgmath", {"pct_disadv"}, -0.013, 0.058}, Case{"avgmath", {"pct_disadv", "enrollment"}, -0.231, 0.099},
        Case{"avgmath", {"pct_disadv", "enrollment", "enrollment^2"}, -0.264, 0.123}}) {
    const Study s = make_study(table, {.treatment = "classsize",
                                       .outcome = c.outcome,
                                       .covariates = c.covariates,
                                       .instruments = {"rule"},
                                       .cluster = "schlcode"})
                        .value();
    const InstrumentFit fit = fit_instrument(s).value();
    EXPECT_NEAR(fit.value, c.value, 0.0012) << c.outcome << c.covariates.size();
    EXPECT_NEAR(fit.standard_error, c.error, 0.0012) << c.outcome << c.covariates.size();
    EXPECT_EQ(fit.outcome, Outcome::kSays);
  }
  const Study s = make_study(table, {.treatment = "classsize",
                                     .outcome = "avgread",
                                     .covariates = {"pct_disadv", "enrollment"},
                                     .instruments = {"rule"},
                                     .cluster = "schlcode"})
                      .value();
  const InstrumentFit fit = fit_instrument(s).value();
  EXPECT_NEAR(fit.first_stage[0], 0.542, 0.001);
  EXPECT_NEAR(fit.first_stage_errors[0], 0.037, 0.001);
  const Study raw =
      make_study(table, {.treatment = "classsize", .outcome = "avgread", .instruments = {"rule"}}).value();
  EXPECT_NEAR(fit_instrument(raw).value().ols, 0.221, 0.001);
}

TEST(RealEffects, ReturnsToSchoolingByNearness) {
  PL_NEEDS_DATA(path, "causal/iv/card_schooling.csv");
  Names covariates = {"exper", "expersq", "black", "smsa", "south", "smsa66"};
  for (int k = 661; k <= 668; ++k) covariates.push_back(fmt::format("reg{}", k));
  const Study s =
      make_study(csv(path),
                 {.treatment = "educ", .outcome = "lwage", .covariates = covariates, .instruments = {"nearc4"}})
          .value();
  EXPECT_EQ(s.n(), 3010u);
  const InstrumentFit fit = fit_instrument(s).value();
  EXPECT_NEAR(fit.ols, 0.0747, 5e-5);
  EXPECT_NEAR(fit.ols_error, 0.0035, 2e-4);
  EXPECT_NEAR(fit.value, 0.1315, 5e-5);
  EXPECT_NEAR(fit.classical_error, 0.0550, 5e-5);
}

TEST(RealEffects, SenateElections) {
  PL_NEEDS_DATA(path, "causal/rd/us_senate.csv");
  const Study s = make_study(csv(path), {.outcome = "vote", .running = "margin"}).value();
  EXPECT_EQ(s.n(), 1297u);
  const Discontinuity fit = fit_discontinuity(s.running, s.outcome, {}, {}, {}).value();
  EXPECT_NEAR(fit.bandwidth, 17.754, 0.001);
  EXPECT_NEAR(fit.bias_bandwidth, 28.028, 0.001);
  EXPECT_NEAR(fit.conventional, 7.414, 0.0006);
  EXPECT_NEAR(fit.conventional_error, 1.459, 0.0006);
  EXPECT_NEAR(*fit.estimate().low(), 4.094, 0.001);
  EXPECT_NEAR(*fit.estimate().high(), 10.919, 0.001);
  EXPECT_EQ(fit.below.within, 360u);
  EXPECT_EQ(fit.above.within, 323u);
}

TEST(RealEffects, InfantsWhoseBothOutcomesAreKnown) {
  PL_NEEDS_DATA(folder, "causal/ihdp/ihdp_npci_1.csv");
  const double published[5] = {0.583, 0.688, 0.644, 0.674, 1.011};
  const double ate[5] = {4.0161, 4.0508, 4.0992, 4.2737, 4.1624};
  for (int k = 1; k <= 5; ++k) {
    std::string path = folder;
    path.replace(path.rfind("_1.csv"), 6, fmt::format("_{}.csv", k));
    data::TableOptions o;
    o.header = false;
    o.names = {"t", "y", "counterfactual", "mu0", "mu1"};
    Names covariates;
    for (int j = 1; j <= 25; ++j) covariates.push_back(fmt::format("x{}", j));
    o.names.insert(o.names.end(), covariates.begin(), covariates.end());
    const data::Table table = data::read_csv(path, o).value();
    const Study s = make_study(table, {.treatment = "t", .outcome = "y", .covariates = covariates}).value();
    const VectorD found = conditional_effects(s).value();
    double square = 0, truth = 0;
    for (std::size_t i = 0; i < s.n(); ++i) {
      const double effect = table.find("mu1")->numbers[i] - table.find("mu0")->numbers[i];
      square += std::pow(found(static_cast<Index>(i)) - effect, 2) / static_cast<double>(s.n());
      truth += effect / static_cast<double>(s.n());
    }
    EXPECT_NEAR(std::sqrt(square), published[k - 1], 0.0006) << k;
    EXPECT_NEAR(truth, ate[k - 1], 0.0001) << k;
    const Effect aipw = effect(s, Method::kAipw);
    EXPECT_NEAR(aipw.estimate.value, truth, 4 * aipw.standard_error) << k;
  }
}

TEST(RealEffects, TwinsOfWhomTheHeavierIsTreated) {
  PL_NEEDS_DATA(path, "causal/twins/twins.csv.gz");
  // The first line is not UTF-8; the columns are named anew.
  const data::Bytes bytes = data::inflate_if_gzip(data::map_file(path).value(), path).value();
  std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  text.remove_prefix(text.find('\n') + 1);
  data::TableOptions o;
  o.header = false;
  Names covariates;
  for (int j = 1; j <= 30; ++j) covariates.push_back(fmt::format("x{}", j));
  o.names = covariates;
  o.names.insert(o.names.end(), {"lighter", "heavier"});
  data::Table table = data::parse_csv(text, "twins", o).value();
  const data::Column lighter = *table.find("lighter"), heavier = *table.find("heavier");
  ASSERT_EQ(lighter.rows(), 11400u);
  // Death within the year, and a treatment that follows the weeks of gestation (x23) and prenatal visits (x29).
  data::Column t{.name = "t"}, y{.name = "y"};
  base::Rng rng(4, {"twins"});
  double truth = 0, naive[2] = {0, 0}, count[2] = {0, 0};
  for (std::size_t i = 0; i < lighter.rows(); ++i) {
    const double died[2] = {lighter.numbers[i] < 9999 ? 1.0 : 0.0, heavier.numbers[i] < 9999 ? 1.0 : 0.0};
    const double odds = 0.15 * (table.find("x23")->numbers[i] - 33) + 0.05 * (table.find("x29")->numbers[i] - 10);
    const int arm = rng.bernoulli(1 / (1 + std::exp(-odds))) ? 1 : 0;
    t.numbers.push_back(arm);
    y.numbers.push_back(died[arm]);
    truth += (died[1] - died[0]) / 11400;
    naive[arm] += died[arm];
    count[arm] += 1;
  }
  EXPECT_NEAR(truth, -0.0161, 5e-5);
  EXPECT_LT(naive[1] / count[1] - naive[0] / count[0], -0.06);
  table.columns.push_back(t);
  table.columns.push_back(y);
  const Study s = make_study(table, {.treatment = "t", .outcome = "y", .covariates = covariates}).value();
  for (const Method m : {Method::kAipw, Method::kIpw}) {
    const Effect e = effect(s, m);
    EXPECT_NEAR(e.estimate.value, truth, 3 * e.standard_error) << method_name(m);
    EXPECT_LT(e.standard_error, 0.012) << method_name(m);
  }
}

}  // namespace
}  // namespace plumbline::counterfactual::effects
