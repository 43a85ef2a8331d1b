#include "plumbline/stats/minimise.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace plumbline::stats {
namespace {

TEST(Minimise, FindsTheMinimumOfRosenbrocksValley) {
  int kept = 0;
  const auto valley = [](const std::vector<double>& x, std::vector<double>& g) {
    const double a = 1 - x[0];
    const double b = x[1] - x[0] * x[0];
    g = {-2 * a - 400 * x[0] * b, 200 * b};
    return a * a + 100 * b * b;
  };
  const auto found = minimise(valley, {-1.2, 1}, {.iterations = 200, .tolerance = 1e-9, .accepted = [&] { ++kept; }});
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->converged);
  EXPECT_NEAR(found->x[0], 1, 1e-7);
  EXPECT_NEAR(found->x[1], 1, 1e-7);
  EXPECT_EQ(kept, found->iterations + 1) << "the start and every step";
  const auto short_walk = minimise(valley, {-1.2, 1}, {.iterations = 3});
  EXPECT_FALSE(short_walk->converged);
  EXPECT_LT(short_walk->value, 24.2);
}

TEST(Minimise, StopsWhenAsked) {
  MinimiseOptions options;
  options.cancel = base::CancelToken::make();
  options.cancel.cancel();
  const auto found = minimise(
      [](const std::vector<double>& x, std::vector<double>& g) {
        g = {2 * x[0]};
        return x[0] * x[0];
      },
      {1}, options);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, base::Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::stats
