#include "plumbline/robustness/stream_drift.hpp"

#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/stream_rank.hpp"
#include "plumbline/stats/hypothesis.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

double open_uniform(base::Rng& rng) { return std::max(rng.uniform(), 1e-300); }

BettingDetector bets(FalseAlarms promise, double threshold, double jump = 0.01) {
  auto made = BettingDetector::make(promise, threshold, jump);
  EXPECT_TRUE(made.ok());
  return *made;
}

/// Capital of every path of bets, one by one: what mixing at each row must sum to.
double all_paths(const std::vector<double>& p, double jump, std::size_t from = 0) {
  constexpr std::size_t kBets = BettingDetector::kBets;
  std::size_t paths = 1;
  for (std::size_t t = from; t < p.size(); ++t) paths *= kBets;
  double sum = 0;
  for (std::size_t code = 0; code < paths; ++code) {
    double weight = 1;
    std::size_t rest = code, before = kBets;
    for (std::size_t t = from; t < p.size(); ++t) {
      const std::size_t bet = rest % kBets;
      rest /= kBets;
      weight *= before == kBets ? 1.0 / kBets : jump / kBets + (bet == before ? 1 - jump : 0);
      weight *= bet_factor(bet, p[t]);
      before = bet;
    }
    sum += weight;
  }
  return sum;
}

TEST(SmoothedP, CountsAsItSays) {
  const std::vector<double> reference = {1, 2, 2, 3};
  EXPECT_DOUBLE_EQ(smoothed_p(reference, 4, 0.5), 0.1);
  EXPECT_DOUBLE_EQ(smoothed_p(reference, 2, 0.5), (1 + 0.5 * 3) / 5);
  EXPECT_DOUBLE_EQ(smoothed_p(reference, 0, 0.25), 4.25 / 5);
  EXPECT_GT(smoothed_p({}, 0, 1e-320), 0);
}

TEST(RankUrn, IsTheUrnOfAllIntervals) {
  // Slow: every interval has its own count; groups are sums of neighbours.
  base::Rng rng(1, {"urn"});
  const std::size_t n = 10, groups = 4;
  RankUrn urn = RankUrn::of_reference(n, groups);
  EXPECT_EQ(urn.groups(), groups);
  std::vector<double> balls(n + 1, 1);
  for (int t = 0; t < 200; ++t) {
    const double q = open_uniform(rng);
    const auto interval = static_cast<std::size_t>(q * (n + 1));
    const double u = q * (n + 1) - static_cast<double>(interval);
    const std::size_t group = interval * groups / (n + 1);
    double low = 0, here = 0, all = 0;
    for (std::size_t i = 0; i <= n; ++i) {
      const std::size_t g = i * groups / (n + 1);
      if (g < group) low += balls[i];
      if (g == group) here += balls[i];
      all += balls[i];
    }
    ASSERT_NEAR(urn.next(q), (low + u * here) / all, 1e-12) << t;
    balls[interval] += 1;
  }
  urn.forget();
  EXPECT_EQ(urn.balls(), 0U);
  const double alone = urn.next(0.7);
  EXPECT_NEAR(alone, 0.7 * 11 - 7, 1e-12);  // nothing to rank among: the uniform number itself
}

/// p-values of a stream of heavy-tailed, tied numbers against a reference of the same law.
std::vector<double> null_p_values(base::Rng& rng, std::size_t reference, std::size_t rows, double shift = 0,
                                  std::size_t change = 0) {
  const auto draw = [&](double by) { return std::round(4 * (rng.normal() / (0.3 + rng.uniform()) + by)) / 4; };
  std::vector<double> known(reference);
  for (double& x : known) x = draw(0);
  std::sort(known.begin(), known.end());
  RankUrn urn = RankUrn::of_reference(reference, 64);
  std::vector<double> p(rows);
  for (std::size_t t = 0; t < rows; ++t)
    p[t] = urn.next(smoothed_p(known, draw(t >= change ? shift : 0), open_uniform(rng)));
  return p;
}

TEST(RankUrnStatistical, PValuesAreUniformAndIndependentWhateverTheLaw) {
  // A small reference, so that p-values against it alone would be far from independent.
  MatrixD pairs = MatrixD::Zero(5, 5);
  std::vector<double> all;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    base::Rng rng(seed, {"null"});
    const auto p = null_p_values(rng, 15, 40);
    for (std::size_t t = 0; t + 1 < p.size(); t += 2)
      pairs(static_cast<int>(p[t] * 5), static_cast<int>(p[t + 1] * 5)) += 1;
    all.insert(all.end(), p.begin(), p.end());
  }
  const auto uniform = stats::ks_uniform(all);
  const auto independent = stats::chi_square_table(pairs);
  ASSERT_TRUE(uniform.ok() && independent.ok());
  EXPECT_GT(uniform->p_value, 1e-4);
  EXPECT_GT(independent->p_value, 1e-4);
}

TEST(BettingDetector, EveryBetIsFair) {
  for (std::size_t b = 0; b < BettingDetector::kBets; ++b) {
    double mean = 0, least = 9;
    constexpr int kSteps = 3000;  // Simpson's rule is exact for these
    for (int i = 0; i <= kSteps; ++i) {
      const double f = bet_factor(b, static_cast<double>(i) / kSteps);
      mean += f * (i == 0 || i == kSteps ? 1 : i % 2 == 1 ? 4 : 2) / (3.0 * kSteps);
      least = std::min(least, f);
    }
    EXPECT_NEAR(mean, 1, 1e-12) << b;
    EXPECT_GT(least, 0) << b;
  }
}

TEST(BettingDetector, IsTheMixtureOverAllPaths) {
  const std::vector<double> p = {0.01, 0.3, 0.9, 0.02, 0.5};
  BettingDetector ever = bets(FalseAlarms::kEver, 1e6, 0.1);
  BettingDetector run = bets(FalseAlarms::kRunLength, 1e6, 0.1);
  for (const double x : p) {
    ever.add(x);
    run.add(x);
  }
  EXPECT_NEAR(std::exp(ever.log_capital()), all_paths(p, 0.1), 1e-12);
  double sum = 0;
  for (std::size_t from = 0; from < p.size(); ++from) sum += all_paths(p, 0.1, from);
  EXPECT_NEAR(std::exp(run.log_capital()), sum, 1e-12);
}

TEST(BettingDetector, LongStreamsNeitherOverflowNorVanish) {
  BettingDetector ever = bets(FalseAlarms::kEver, 100);
  int alarms = 0;
  for (int t = 0; t < 20'000; ++t) alarms += ever.add(0.001) ? 1 : 0;
  EXPECT_EQ(alarms, 1);
  EXPECT_TRUE(std::isfinite(ever.log_capital()));
  EXPECT_GT(ever.log_capital(), 20'000 * 0.5);
  EXPECT_EQ(ever.p_value(), 0);
  BettingDetector quiet = bets(FalseAlarms::kEver, 100);
  base::Rng rng(2, {"long"});
  for (int t = 0; t < 20'000; ++t) quiet.add(open_uniform(rng));
  EXPECT_TRUE(std::isfinite(quiet.log_capital()));
}

TEST(BettingDetectorStatistical, FalseAlarmsKeepVille) {
  // 400 streams of 1,000 rows at 1 / 20: at most 20 expected, whatever the law.
  const int alarms = testing::count_seeds(400, [](base::Rng& rng) {
    BettingDetector detector = bets(FalseAlarms::kEver, 20);
    bool any = false;
    for (const double p : null_p_values(rng, 30, 1000)) any = detector.add(p) || any;
    return any;
  });
  EXPECT_LE(alarms, testing::binomial_band(400, 0.05).high);
}

TEST(BettingDetectorStatistical, RunLengthIsAtLeastTheThreshold) {
  // Alarms among 400 x 1,000 rows at a threshold of 200: at most 2,000 expected.
  double alarms = 0, squares = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    base::Rng rng(seed, {"run length"});
    BettingDetector detector = bets(FalseAlarms::kRunLength, 200);
    double here = 0;
    for (const double p : null_p_values(rng, 50, 1000)) here += detector.add(p) ? 1 : 0;
    alarms += here;
    squares += here * here;
  }
  const double deviation = std::sqrt(squares - alarms * alarms / 400);
  EXPECT_LE(alarms, 2000 + 3.7 * deviation);
  EXPECT_GE(alarms, 500) << "far fewer than the promise allows: bets that cannot win";
}

TEST(BettingDetectorStatistical, AShiftIsFound) {
  // A reference of 300 rows, a shift of half a unit after 200 rows, threshold 1 / 0.01: found within 300 rows more.
  const int found = testing::count_seeds(100, [](base::Rng& rng) {
    BettingDetector detector = bets(FalseAlarms::kEver, 100);
    std::size_t at = 0;
    const auto p = null_p_values(rng, 300, 500, 1.5, 200);
    for (std::size_t t = 0; t < p.size() && at == 0; ++t) at = detector.add(p[t]) ? t + 1 : 0;
    return at > 200;
  });
  EXPECT_GE(found, testing::binomial_band(100, 0.97).low);
}

TEST(Cusum, MatchesThePublishedRunLengths) {
  // Two sides, allowance 1/2. Montgomery, "Introduction to statistical quality control", table 9.3.
  const std::vector<std::array<double, 3>> table = {{4, 0, 168},  {5, 0, 465},  {4, 0.5, 26.6}, {5, 0.5, 38.0},
                                                    {4, 1, 8.38}, {5, 1, 10.4}, {4, 2, 3.34},   {5, 2, 4.01},
                                                    {4, 3, 2.19}, {5, 3, 2.57}};
  for (const auto& [threshold, shift, expected] : table) {
    const auto length = cusum_run_length(0.5, threshold, shift);
    ASSERT_TRUE(length.ok());
    EXPECT_NEAR(*length, expected, 0.006 * expected) << threshold << " " << shift;
  }
  const auto threshold = cusum_threshold(0.5, 465.44);
  ASSERT_TRUE(threshold.ok());
  EXPECT_NEAR(*threshold, 5, 1e-3);
  EXPECT_NEAR(*cusum_run_length(0.25, *cusum_threshold(0.25, 10'000)), 10'000, 1);
  EXPECT_NEAR(*cusum_threshold(0.5, 1e12), 26.47, 0.05);  // Siegmund 1985, both sides: 26.465
  EXPECT_NE(cusum_threshold(0, 1e6).error().message.find("no threshold up to 100"), std::string::npos);
}

TEST(Cusum, IsTheTestOfPageAndHinkley) {
  base::Rng rng(3, {"hinkley"});
  auto cusum = CusumDetector::make(0.3, 1e9);
  ASSERT_TRUE(cusum.ok());
  double sum = 0, least = 0, negative = 0, most = 0;
  for (int t = 0; t < 300; ++t) {
    const double z = rng.normal();
    sum += z - 0.3;
    least = std::min(least, sum);
    negative += z + 0.3;
    most = std::max(most, negative);
    EXPECT_FALSE(cusum->add(z));
    ASSERT_NEAR(cusum->statistic(), std::max(sum - least, most - negative), 1e-9);
  }
}

TEST(CusumStatistical, RunLengthOfRanksIsThatOfNormalRows) {
  // Conformal normal scores are exactly standard normal, so the threshold's run length holds for a law with ties.
  const auto threshold = cusum_threshold(0.5, 200);
  ASSERT_TRUE(threshold.ok());
  double rows = 0, alarms = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    base::Rng rng(seed, {"cusum"});
    auto detector = CusumDetector::make(0.5, *threshold);
    for (const double p : null_p_values(rng, 100, 2000)) alarms += detector->add_p(p) ? 1 : 0;
    rows += 2000;
  }
  // Times between alarms are nearly exponential: the count is nearly Poisson.
  EXPECT_NEAR(alarms, rows / 200, 4 * std::sqrt(rows / 200) + 200 * 0.05);
}

/// ADWIN with every row kept and every cut tried.
struct SlowAdwin {
  double delta;
  AdwinBound bound;
  std::vector<double> window;
  bool add(double x) {
    window.push_back(x);
    bool dropped = false;
    for (bool again = true; again;) {
      again = false;
      const auto n = static_cast<double>(window.size());
      const double mean = std::accumulate(window.begin(), window.end(), 0.0) / n;
      double variance = 0;
      for (const double w : window) variance += (w - mean) * (w - mean) / n;
      for (std::size_t cut = window.size() - 1; cut >= 1 && !again; --cut) {
        const auto n0 = static_cast<double>(cut), n1 = n - n0;
        const double m = 1 / (1 / n0 + 1 / n1), d = delta / n;
        const double gap = std::abs(std::accumulate(window.begin(), window.begin() + static_cast<long>(cut), 0.0) / n0 -
                                    std::accumulate(window.begin() + static_cast<long>(cut), window.end(), 0.0) / n1);
        const double e = bound == AdwinBound::kHoeffding
                             ? std::sqrt(std::log(4 / d) / (2 * m))
                             : std::sqrt(2 / m * variance * std::log(2 / d)) + 2 / (3 * m) * std::log(2 / d);
        if (gap < e) continue;
        window.erase(window.begin(), window.begin() + static_cast<long>(cut));
        again = dropped = true;
      }
    }
    return dropped;
  }
};

TEST(Adwin, WithEveryRunKeptItIsTheSlowForm) {
  for (const AdwinBound bound : {AdwinBound::kHoeffding, AdwinBound::kNormal}) {
    base::Rng rng(4, {"adwin"});
    auto quick = AdwinDetector::make(0.05, bound, 10'000, 1);
    ASSERT_TRUE(quick.ok());
    SlowAdwin slow{0.05, bound, {}};
    int cuts = 0;
    for (int t = 0; t < 400; ++t) {
      const double x = rng.bernoulli(t < 150 ? 0.1 : t < 280 ? 0.9 : 0.3) ? 1 : 0;
      const bool cut = quick->add(x);
      ASSERT_EQ(cut, slow.add(x)) << t;
      ASSERT_EQ(quick->width(), slow.window.size()) << t;
      cuts += cut ? 1 : 0;
    }
    EXPECT_GE(cuts, 2);
  }
}

TEST(Adwin, RunsKeepTheSumsAndTheMemorySmall) {
  base::Rng rng(5, {"runs"});
  auto adwin = AdwinDetector::make(1e-6, AdwinBound::kHoeffding, 5, 32);
  double sum = 0;
  for (int t = 0; t < 10'000; ++t) {
    const double x = rng.uniform();
    sum += x;
    EXPECT_FALSE(adwin->add(x));
  }
  EXPECT_EQ(adwin->width(), 10'000U);
  EXPECT_NEAR(adwin->mean(), sum / 10'000, 1e-9);
  EXPECT_LT(adwin->statistic(), 1);
}

TEST(AdwinStatistical, AlarmsAtALookAreBelowDeltaAndAChangeIsFound) {
  // Two points of one half: the widest law on [0, 1]. 31 looks a stream at delta = 0.01 each.
  const int false_alarms = testing::count_seeds(200, [](base::Rng& rng) {
    auto adwin = AdwinDetector::make(0.01, AdwinBound::kHoeffding);
    bool any = false;
    for (int t = 0; t < 1000; ++t) any = adwin->add(rng.bernoulli(0.5) ? 1 : 0) || any;
    return any;
  });
  EXPECT_LE(false_alarms, testing::binomial_band(200, 0.31).high);
  const int found = testing::count_seeds(100, [](base::Rng& rng) {
    auto adwin = AdwinDetector::make(0.01, AdwinBound::kHoeffding);
    int at = 0;
    for (int t = 0; t < 1000; ++t)
      if (adwin->add(rng.bernoulli(t < 500 ? 0.3 : 0.7) ? 1 : 0) && at == 0) at = t;
    return at >= 500 && at < 700;
  });
  EXPECT_GE(found, testing::binomial_band(100, 0.99).low);
}

TEST(StreamDrift, ArgumentsOutsideTheirRangeAreNamed) {
  EXPECT_NE(BettingDetector::make(FalseAlarms::kEver, 1).error().message.find("threshold is 1"), std::string::npos);
  EXPECT_NE(BettingDetector::make(FalseAlarms::kEver, 9, 1).error().message.find("jump is 1"), std::string::npos);
  EXPECT_NE(CusumDetector::make(-1, 3).error().message.find("allowance is -1"), std::string::npos);
  EXPECT_NE(CusumDetector::make(1, 0).error().message.find("threshold"), std::string::npos);
  EXPECT_NE(cusum_threshold(0.5, 2).error().message.find("run_length"), std::string::npos);
  EXPECT_NE(AdwinDetector::make(1).error().message.find("delta"), std::string::npos);
  EXPECT_NE(AdwinDetector::make(0.1, AdwinBound::kNormal, 1).error().message.find("runs"), std::string::npos);
  EXPECT_FALSE(cusum_run_length(0.5, 4, std::nan("")).ok());
}

TEST(StreamDriftReal, ElectricityPriceOfVictoriaBeginsToMove) {
  PL_NEEDS_DATA(path, "tabular/elec2.csv");
  // Victoria's price is a constant until its market opens, then it moves.
  std::ifstream file(path);
  std::vector<double> price;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line) && price.size() < 20'000) {
    std::istringstream cells(line);
    std::string cell;
    for (int i = 0; i < 4; ++i) std::getline(cells, cell, ',');
    price.push_back(std::stod(cell));
  }
  const auto opens = static_cast<std::size_t>(std::adjacent_find(price.begin(), price.end(), std::not_equal_to<>()) -
                                              price.begin() + 1);
  ASSERT_GT(opens, 5000U);
  ASSERT_LT(opens, price.size() - 100);
  std::vector<double> known(price.begin(), price.begin() + 1000);
  std::sort(known.begin(), known.end());
  RankUrn urn = RankUrn::of_reference(known.size());
  BettingDetector detector = bets(FalseAlarms::kRunLength, 100'000);
  base::Rng rng(6, {"elec2"});
  std::size_t alarm = 0;
  for (std::size_t t = 1000; t < price.size() && alarm == 0; ++t)
    if (detector.add(urn.next(smoothed_p(known, price[t], open_uniform(rng))))) alarm = t;
  EXPECT_GE(alarm, opens);
  EXPECT_LT(alarm, opens + 60);
}

}  // namespace
}  // namespace plumbline::robustness
