/// Linear models against simulation of their equations and against hand-made closed forms.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/linear.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using ::testing::HasSubstr;

LinearModel model(const std::string& text) { return parse_linear(text, "m.eq").value(); }
std::string fault(const std::string& text) {
  const auto got = parse_linear(text, "m.eq");
  return got.ok() ? "" : got.error().text();
}

TEST(CausalLinear, ReadsEquations) {
  const LinearModel m =
      model("# prices\nprice = 10 + noise(2)\n\ndemand = 50 - 1.5*price + season - 1e1 + noise(3)\nseason = -price\n");
  ASSERT_EQ(m.size(), 3U);
  EXPECT_EQ(m.equation(1).intercept, 40);
  EXPECT_EQ(m.equation(1).terms, (std::vector<std::pair<int, double>>{{0, -1.5}, {2, 1}}));
  EXPECT_EQ(m.equation(1).deviation, 3);
  EXPECT_EQ(m.equation(2).terms, (std::vector<std::pair<int, double>>{{0, -1}}));
}

TEST(CausalLinear, NamesWhatIsWrong) {
  EXPECT_THAT(fault("x = 1\ny = 2*z\n"), HasSubstr("m.eq:2: 'z' has no equation"));
  EXPECT_THAT(fault("x = y\ny = x\n"), HasSubstr("m.eq: the equations have a cycle: x -> y -> x"));
  EXPECT_THAT(fault("x = 1\nx = 2\n"), HasSubstr("m.eq:2: 'x' has a second equation"));
  EXPECT_THAT(fault("x 1\n"), HasSubstr("m.eq:1: found no '='"));
  EXPECT_THAT(fault("x = 1 +\n"), HasSubstr("ends after a sign"));
  EXPECT_THAT(fault("x =\n"), HasSubstr("or is empty"));
  EXPECT_THAT(fault("x = 1 2 3\n"), HasSubstr("found '2', expected + or -"));
  EXPECT_THAT(fault("x = noise(-1)\n"), HasSubstr("'-1' is no deviation"));
  EXPECT_THAT(fault("x = noise(1) + noise(1)\n"), HasSubstr("second noise"));
  EXPECT_THAT(fault("x = a*b\n"), HasSubstr("'a' is no weight"));
  EXPECT_THAT(fault("x = 2**b\n"), HasSubstr("is no term"));
  EXPECT_THAT(fault("x = 1\ny = x + x\n"), HasSubstr("'y' holds 'x' twice"));
  EXPECT_THAT(fault("# nothing\n"), HasSubstr("there is no equation"));
  const LinearModel m = model("x = noise(1)\ny = x\nz = 3\n");
  EXPECT_THAT(m.settings({"x=one"}).error().text(), HasSubstr("VARIABLE=NUMBER"));
  EXPECT_THAT(m.settings({"x=1", "x=2"}).error().text(), HasSubstr("'x' is given twice"));
  EXPECT_THAT(m.query({0}, {{0, 1}, {1, 1}}, {}).error().text(), HasSubstr("ties together"));
  EXPECT_THAT(m.query({0}, {{2, 3}}, {}).error().text(), HasSubstr("'z' is fixed by the model"));
  EXPECT_THAT(m.query({}, {}, {}).error().text(), HasSubstr("no target"));
}

TEST(CausalLinear, SeesDoesAndImaginesInClosedForm) {
  // c confounds x and y.
  const LinearModel m = model("c = noise(1)\nx = 2*c + noise(1)\ny = 3*x + 4*c + noise(1)\n");
  // E[y | x] = (3 + 4 cov(c, x) / var(x)) x = (3 + 8/5) x; var = 1 + 16 (1 - 4/5).
  const Normal seen = m.query({2}, {{1, 2}}, {}).value();
  EXPECT_NEAR(seen.mean(0), 9.2, 1e-12);
  EXPECT_NEAR(seen.covariance(0, 0), 1 + 16 * 0.2, 1e-12);
  const Normal done = m.query({2}, {}, {{1, 2}}).value();
  EXPECT_NEAR(done.mean(0), 6, 1e-12);
  EXPECT_NEAR(done.covariance(0, 0), 17, 1e-12);
  // All seen: the noise is known, and x one higher moves y by 3.
  const Normal imagined = m.imagine({2}, {{0, 0.5}, {1, 1.5}, {2, 7}}, {{1, 2.5}}).value();
  EXPECT_NEAR(imagined.mean(0), 10, 1e-12);
  EXPECT_NEAR(imagined.deviation(0), 0, 1e-7);
  // x and y seen, c not: what is left is the doubt about c, which moves y less than it would without the evidence.
  const Normal partly = m.imagine({2}, {{1, 1.5}, {2, 7}}, {{1, 2.5}}).value();
  EXPECT_NEAR(partly.mean(0), 10, 1e-12);
}

TEST(CausalLinear, CounterfactualsEqualSelectedSimulations) {
  // Regression of the imagined outcome on the evidence over simulated pairs of worlds: the conditional mean of a joint
  // normal is that line, its covariance the residuals'.
  const LinearModel m =
      model("a = 1 + noise(1)\nb = 0.5*a + noise(0.7)\nc = 2 - b + 0.3*a + noise(0.5)\nd = c + 0.8*b + noise(1)\n");
  const Settings set = {{1, 2}};
  constexpr int kRows = 200000;
  base::Rng rng(61);
  double n = 0;
  VectorD mean = VectorD::Zero(3);
  MatrixD second = MatrixD::Zero(3, 3);
  for (int i = 0; i < kRows; ++i) {
    const double ua = rng.normal(), ub = 0.7 * rng.normal(), uc = 0.5 * rng.normal(), ud = rng.normal();
    const double a = 1 + ua;
    const double b = 0.5 * a + ub;
    const double c = 2 - b + 0.3 * a + uc;
    const double d = c + 0.8 * b + ud;
    const double c2 = 2 - 2.0 + 0.3 * a + uc;
    const double d2 = c2 + 0.8 * 2 + ud;
    VectorD x(3);
    x << b, d, d2;
    mean += x;
    second += x * x.transpose();
    n += 1;
  }
  mean /= n;
  second = second / n - mean * mean.transpose();
  const MatrixD inner = second.topLeftCorner(2, 2);
  const VectorD cross = second.topRightCorner(2, 1);
  const double det = inner(0, 0) * inner(1, 1) - inner(0, 1) * inner(1, 0);
  VectorD weight(2);
  weight << (inner(1, 1) * cross(0) - inner(0, 1) * cross(1)) / det,
      (inner(0, 0) * cross(1) - inner(1, 0) * cross(0)) / det;
  const double expected = mean(2) + weight(0) * (1.5 - mean(0)) + weight(1) * (3 - mean(1));
  const double variance = second(2, 2) - weight.dot(cross);
  const Normal got = m.imagine({3}, {{1, 1.5}, {3, 3}}, set).value();
  EXPECT_NEAR(got.mean(0), expected, 0.02);
  EXPECT_NEAR(got.covariance(0, 0), variance, 0.02);
  // Consistency: what was done anyway.
  const Normal same = m.imagine({3}, {{1, 1.5}}, {{1, 1.5}}).value();
  const Normal seen = m.query({3}, {{1, 1.5}}, {}).value();
  EXPECT_NEAR(same.mean(0), seen.mean(0), 1e-12);
  EXPECT_NEAR(same.covariance(0, 0), seen.covariance(0, 0), 1e-12);
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
