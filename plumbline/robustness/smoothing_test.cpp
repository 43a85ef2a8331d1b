// Smoothing against classifiers whose smoothed probabilities are known in closed form.
#include "plumbline/robustness/smoothing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using ::testing::HasSubstr;

InputDomain units(std::size_t n, double scale = 1) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  return {std::vector<double>(n, scale), std::vector<double>(n, -kNone), std::vector<double>(n, kNone)};
}

/// Class 1 where w x + b > 0. Under noise of deviation s it has probability Phi((w x + b) / (s |w|)), and its boundary
/// is |w x + b| / |w| away.
Classify linear(std::vector<double> w, double b) {
  return [w = std::move(w), b](const MatrixF& rows) -> base::Result<std::vector<int>> {
    std::vector<int> out;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
      double sum = b;
      for (std::size_t j = 0; j < w.size(); ++j)
        sum += w[j] * static_cast<double>(rows(i, static_cast<Eigen::Index>(j)));
      out.push_back(sum > 0 ? 1 : 0);
    }
    return out;
  };
}

// The exact radius of a linear classifier is its distance to the boundary. A stated radius may pass it in at most alpha
// of the runs: of 400, at least 364 must not (false alarm 1e-4); a true rate of 0.15 instead of 0.05 slips through in
// 3e-5.
TEST(SmoothingStatistical, StatedRadiusKeepsItsLevelOnALinearClassifier) {
  const Classify classify = linear({3, -4}, 0.5);
  const std::vector<float> x = {0.1F, -0.05F};
  const double distance = (3 * static_cast<double>(x[0]) - 4 * static_cast<double>(x[1]) + 0.5) / 5;
  SmoothingOptions options{.sigma = 0.25, .n0 = 20, .n = 200, .alpha = 0.05, .batch = 64};
  const double p = stats::normal_cdf(distance / options.sigma);
  std::size_t hits = 0;
  std::size_t runs = 0;
  const int kept = testing::count_seeds(400, [&](base::Rng& rng) {
    const auto answer = smooth(classify, x, units(2), options, rng);
    EXPECT_TRUE(answer.ok());
    if (answer->guess != 1) return true;  // then the count is of class 0
    hits += answer->hits;
    ++runs;
    return answer->radius <= distance;
  });
  EXPECT_GE(kept, testing::binomial_floor(400, 0.95));
  EXPECT_GT(runs, 380U);
  // The pooled count is Binomial(runs n, p): the noise has the deviation that is stated.
  const auto band = testing::binomial_band(static_cast<int>(runs * options.n), p);
  EXPECT_TRUE(band.contains(static_cast<int>(hits))) << hits << " in [" << band.low << ", " << band.high << "]";
}

// At a point on the boundary the true probability is one half: any answer that does not abstain is one error in alpha.
TEST(SmoothingStatistical, AbstainsOnTheBoundary) {
  const Classify classify = linear({1, 2, -2}, 0);
  const std::vector<float> x = {0, 0, 0};
  SmoothingOptions options{.sigma = 1, .n0 = 10, .n = 100, .alpha = 0.05, .batch = 100};
  const int abstained = testing::count_seeds(400, [&](base::Rng& rng) {
    const auto answer = smooth(classify, x, units(3), options, rng);
    EXPECT_EQ(answer->radius == 0, answer->abstains);
    return answer->abstains;
  });
  EXPECT_GE(abstained, testing::binomial_floor(400, 0.95));
}

// Class 1 inside a ball around the point: P(chi^2_d <= r^2 / s^2).
TEST(SmoothingStatistical, CountsABallsProbability) {
  constexpr std::size_t kDimension = 6;
  const double r = 1.5;
  const double sigma = 0.5;
  const Classify classify = [&](const MatrixF& rows) -> base::Result<std::vector<int>> {
    std::vector<int> out;
    for (Eigen::Index i = 0; i < rows.rows(); ++i)
      out.push_back(rows.row(i).cast<double>().squaredNorm() < r * r ? 1 : 0);
    return out;
  };
  const double p = 1 - stats::chi_square_tail(r * r / (sigma * sigma), kDimension);
  const std::vector<float> x(kDimension, 0.0F);
  // Half the scale at twice the sigma is the same noise.
  const SmoothingOptions options{.sigma = 2 * sigma, .n0 = 50, .n = 20'000, .alpha = 0.001, .batch = 1000};
  const auto answer = smooth(classify, x, units(kDimension, 0.5), options, base::Rng(4));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->guess, 1);
  EXPECT_TRUE(testing::binomial_band(20'000, p).contains(static_cast<int>(answer->hits)));
  EXPECT_LT(answer->p_lower, p);
  EXPECT_NEAR(answer->radius, 2 * sigma * stats::normal_quantile(answer->p_lower), 1e-12);
}

TEST(Smoothing, RadiusComesNearTheExactOneAndGrowsToItsLimit) {
  const Classify classify = linear({1, 0}, 0);
  const std::vector<float> x = {0.3F, 0};
  SmoothingOptions options{.sigma = 0.25, .n0 = 50, .n = 40'000, .alpha = 0.001, .batch = 5000};
  const auto answer = smooth(classify, x, units(2), options, base::Rng(1));
  EXPECT_LE(answer->radius, 0.3);
  EXPECT_GT(answer->radius, 0.285);
  // Far away all copies agree; alpha^(1/n) is then the bound, in closed form.
  const std::vector<float> far = {100, 0};
  const auto sure = smooth(classify, far, units(2), options, base::Rng(1));
  EXPECT_EQ(sure->hits, options.n);
  EXPECT_NEAR(sure->p_lower, std::pow(options.alpha, 1.0 / static_cast<double>(options.n)), 1e-12);
  EXPECT_DOUBLE_EQ(sure->radius, largest_smoothed_radius(options));
}

TEST(Smoothing, BitsDependOnTheStreamAlone) {
  const Classify classify = linear({1, -1, 0.5}, 0.1);
  const std::vector<float> x = {0.1F, 0.2F, 0.1F};
  SmoothingOptions options{.sigma = 0.3, .n0 = 37, .n = 501, .alpha = 0.01, .batch = 7};
  const auto a = smooth(classify, x, units(3), options, base::Rng(5));
  options.batch = 1000;
  base::Rng moved(5);
  moved.bits();  // the position of the stream is not part of its key
  const auto b = smooth(classify, x, units(3), options, moved);
  EXPECT_EQ(a->hits, b->hits);
  EXPECT_EQ(a->radius, b->radius);
  const auto c = smooth(classify, x, units(3), options, base::Rng(6));
  EXPECT_NE(a->hits, c->hits);
}

TEST(Smoothing, NamesWhatIsWrong) {
  const Classify classify = linear({1}, 0);
  const std::vector<float> x = {0.5F};
  const auto message = [&](std::span<const float> at, const InputDomain& domain, SmoothingOptions options,
                           const Classify& by) {
    const auto answer = smooth(by, at, domain, options, base::Rng(1));
    return answer.ok() ? std::string() : answer.error().message;
  };
  const SmoothingOptions good{.n = 10};
  EXPECT_THAT(message({}, units(0), good, classify), HasSubstr("x"));
  EXPECT_THAT(message(x, units(2), good, classify), HasSubstr("domain"));
  const std::vector<float> bad = {std::numeric_limits<float>::infinity()};
  EXPECT_THAT(message(bad, units(1), good, classify), HasSubstr("x"));
  EXPECT_THAT(message(x, units(1), {.sigma = 0}, classify), HasSubstr("sigma"));
  EXPECT_THAT(message(x, units(1), {.n0 = 0}, classify), HasSubstr("n0"));
  EXPECT_THAT(message(x, units(1), {.n = 0}, classify), HasSubstr("n is 0"));
  EXPECT_THAT(message(x, units(1), {.alpha = 1}, classify), HasSubstr("alpha"));
  const Classify odd = [](const MatrixF&) -> base::Result<std::vector<int>> { return std::vector<int>{0}; };
  EXPECT_THAT(message(x, units(1), good, odd), HasSubstr("classes"));
  base::CancelToken token = base::CancelToken::make();
  token.cancel();
  EXPECT_EQ(smooth(classify, x, units(1), good, base::Rng(1), token).error().code, base::Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::robustness
