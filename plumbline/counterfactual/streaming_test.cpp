#include "plumbline/counterfactual/streaming.hpp"

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/weighted_sums.hpp"
#include "plumbline/data/log_stream.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/bandits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using ::testing::HasSubstr;

TEST(ResampledSums, TheLawHasMeanAndVarianceOne) {
  int total = 0, first = 0, second = 0;
  for (int k = 0; k < static_cast<int>(kResampleLaw.size()); ++k) {
    total += kResampleLaw[static_cast<std::size_t>(k)];
    first += k * kResampleLaw[static_cast<std::size_t>(k)];
    second += k * k * kResampleLaw[static_cast<std::size_t>(k)];
  }
  EXPECT_EQ(total, 256);
  EXPECT_EQ(first, 256);
  EXPECT_EQ(second, 512) << "variance 1";
  std::array<double, 6> seen{};
  constexpr int kUnits = 400;
  constexpr int kReplicates = 192;
  for (int u = 0; u < kUnits; ++u) {
    for (int b = 0; b < kReplicates; ++b)
      ++seen[static_cast<std::size_t>(resample_weight(7, static_cast<std::uint64_t>(u), static_cast<std::size_t>(b)))];
  }
  double chi = 0;
  for (std::size_t k = 0; k < seen.size(); ++k) {
    const double expected = kUnits * kReplicates * kResampleLaw[k] / 256.0;
    chi += (seen[k] - expected) * (seen[k] - expected) / expected;
  }
  EXPECT_GT(stats::chi_square_tail(chi, 5), 1e-4) << chi;
}

TEST(ResampledSums, AgreeWithTheWeightsOneByOneForAnyThreadsAndKeepUnitsTogether) {
  base::Rng rng(1);
  constexpr std::size_t kRows = 9000;
  std::vector<double> values;
  std::vector<std::uint64_t> unit;
  for (std::size_t i = 0; i < kRows; ++i) {
    values.push_back(rng.normal());
    values.push_back(rng.uniform());
    unit.push_back(rng.below(500));
  }
  const auto sums_of = [&](int threads) {
    base::set_threads(threads);
    ResampledSums sums(2, 100, 3);
    sums.add(values, unit);
    EXPECT_EQ(sums.replicates(), 128U);
    std::vector<double> out;
    for (std::size_t b = 0; b < 100; ++b) {
      for (const double v : sums.sums(b)) out.push_back(v);
    }
    return out;
  };
  const auto one = sums_of(1);
  EXPECT_EQ(one, sums_of(3));
  base::set_threads(0);
  for (const std::size_t b : {0U, 63U, 64U, 99U}) {
    double plain[2] = {0, 0};
    for (std::size_t i = 0; i < kRows; ++i) {
      const double w = resample_weight(3, unit[i], b);
      plain[0] += w * values[2 * i];
      plain[1] += w * values[2 * i + 1];
    }
    EXPECT_NEAR(one[2 * b], plain[0], 1e-9);
    EXPECT_NEAR(one[2 * b + 1], plain[1], 1e-9);
  }
}

/// A log of the small bandit with users of several decisions, some of them decided by others or without reward.
data::DecisionLog crowded_log(std::size_t rows, bool probabilities, bool units, base::Rng& rng) {
  const testing::Bandit bandit = testing::small_bandit();
  data::LogBuilder builder("x");
  for (std::size_t i = 0; i < rows; ++i) {
    data::DecisionRecord r = testing::bandit_record(bandit, rng, {.probabilities = probabilities});
    if (units && i % 11 != 0) r.unit = fmt::format("u{}", rng.below(rows / 3));
    r.id = fmt::format("d{}", i);  // a stream drops the names of decisions
    if (i % 50 == 7) r.cause = data::DecisionCause::kPerson;
    if (i % 60 == 9) r.reward.reset();
    EXPECT_TRUE(builder.add(r, "x").ok());
  }
  return std::move(builder.take()).value();
}

TEST(LogStream, BlocksHoldWhatTheWholeLogHolds) {
  base::Rng rng(2);
  const data::DecisionLog log = crowded_log(500, true, true, rng);
  testing::TempFolder folder;
  ASSERT_TRUE(data::write_decision_log(folder.file("log.npz"), log).ok());
  data::LogStream stream = data::LogStream::open(folder.file("log.npz"), 128).value();
  EXPECT_EQ(stream.rows(), 500U);
  EXPECT_EQ(stream.units(), log.unit_names.size());
  EXPECT_TRUE(stream.probabilities());
  std::size_t first = 0;
  for (;;) {
    const auto block = stream.next();
    ASSERT_TRUE(block.ok()) << block.error().text();
    if (!*block) break;
    std::vector<int> every;
    for (std::size_t i = 0; i < (*block)->rows(); ++i) {
      EXPECT_EQ((*block)->action[i], log.action[first + i]);
      EXPECT_EQ((*block)->unit[i], log.unit[first + i]);
      EXPECT_EQ((*block)->propensity[i], log.propensity[first + i]);
      EXPECT_EQ((*block)->cause[i], log.cause[first + i]);
      EXPECT_EQ((*block)->context.columns[0].codes[i], log.context.columns[0].codes[first + i]);
      EXPECT_THAT((*block)->probabilities(i), ::testing::ElementsAreArray(log.probabilities(first + i)));
      EXPECT_THAT((*block)->available(i, every), ::testing::ElementsAreArray(log.available(first + i, every)));
    }
    first += (*block)->rows();
  }
  EXPECT_EQ(first, 500U);
  const std::string bytes = testing::read_file(folder.file("log.npz"));
  testing::write_file(folder.file("cut.npz"), bytes.substr(0, bytes.size() / 2));
  EXPECT_FALSE(data::LogStream::open(folder.file("cut.npz")).ok());
  testing::write_file(folder.file("text.npz"), "not a zip");
  EXPECT_THAT(data::LogStream::open(folder.file("text.npz")).error().text(), HasSubstr("text.npz"));
  EXPECT_FALSE(data::LogStream::open(folder.file("none.npz")).ok());
}

// Figures, support and normal bounds are those of the log that is held, with and without units, and with the
// probabilities of all actions or not.
TEST(Streaming, AgreesWithTheLogThatIsHeld) {
  base::Rng rng(4);
  testing::TempFolder folder;
  const std::vector<Estimator> estimators = {Estimator::kIps, Estimator::kSnips, Estimator::kClipped,
                                             Estimator::kShrunk};
  for (const bool probabilities : {true, false}) {
    for (const bool units : {true, false}) {
      const data::DecisionLog log = crowded_log(3000, probabilities, units, rng);
      ASSERT_TRUE(data::write_decision_log(folder.file("log.npz"), log).ok());
      PolicySpec spec = parse_policy("fixed:a1").value();
      spec.epsilon = 0.5;
      const PolicySource source = PolicySource::load(spec).value();
      const auto streamed =
          stream_values(folder.file("log.npz"), source, estimators, Interval::kNormal, {}, base::Rng(1));
      ASSERT_TRUE(streamed.ok()) << streamed.error().text();
      EXPECT_EQ(streamed->passes, 2) << "clipped and shrunk need the number of rows";
      const Evaluation held = Evaluation::make(log, *source.bind(log).value(), false, {}, base::Rng(1)).value();
      EXPECT_EQ(streamed->used, held.rows().size());
      EXPECT_EQ(streamed->excluded.words(), held.rows().excluded.words());
      const Support& a = streamed->support;
      const Support& b = held.support();
      EXPECT_EQ(a.units, b.units);
      EXPECT_NEAR(a.effective_size, b.effective_size, 1e-6);
      EXPECT_EQ(a.largest_weight, b.largest_weight);
      EXPECT_NEAR(a.largest_share, b.largest_share, 1e-12);
      EXPECT_EQ(a.telling, b.telling);
      EXPECT_NEAR(a.mean_weight, b.mean_weight, 1e-12);
      EXPECT_NEAR(a.mean_weight_p, b.mean_weight_p, 1e-9);
      EXPECT_NEAR(a.missing, b.missing, 1e-12);
      EXPECT_NEAR(streamed->logged.value, held.logged_value()->value, 1e-12);
      EXPECT_NEAR(*streamed->logged.low(), *held.logged_value()->low(), 1e-3);
      for (std::size_t k = 0; k < estimators.size(); ++k) {
        const PolicyValue v = held.value(estimators[k], Interval::kNormal).value();
        EXPECT_NEAR(streamed->values[k].estimate.value, v.estimate.value, 1e-10) << estimator_name(estimators[k]);
        EXPECT_NEAR(*streamed->values[k].estimate.low(), *v.estimate.low(), 1e-9) << estimator_name(estimators[k]);
        EXPECT_NEAR(*streamed->values[k].estimate.high(), *v.estimate.high(), 1e-9) << estimator_name(estimators[k]);
        const PolicyValue g = held.gain(nullptr, estimators[k], Interval::kNormal).value();
        EXPECT_NEAR(streamed->gains[k].estimate.value, g.estimate.value, 1e-10);
        EXPECT_NEAR(*streamed->gains[k].estimate.low(), *g.estimate.low(), 1e-9) << estimator_name(estimators[k]);
      }
      // By resamples: the same width up to their number (1000 quantiles: about 6 %).
      const auto resampled =
          stream_values(folder.file("log.npz"), source, estimators, Interval::kBootstrap, {}, base::Rng(1));
      ASSERT_TRUE(resampled.ok());
      for (std::size_t k = 0; k < estimators.size(); ++k) {
        const double width = *streamed->values[k].estimate.high() - *streamed->values[k].estimate.low();
        const double other = *resampled->values[k].estimate.high() - *resampled->values[k].estimate.low();
        EXPECT_NEAR(other / width, 1, 0.2) << estimator_name(estimators[k]);
      }
    }
  }
}

TEST(Streaming, OnePassWhereAllProbabilitiesAreLoggedAndTheSameBitsForAnyThreads) {
  base::Rng rng(5);
  testing::TempFolder folder;
  ASSERT_TRUE(data::write_decision_log(folder.file("log.npz"), crowded_log(4000, true, true, rng)).ok());
  const PolicySource source = PolicySource::load(parse_policy("uniform").value()).value();
  const std::vector<Estimator> two = {Estimator::kIps, Estimator::kSnips};
  const auto run = [&](int threads) {
    base::set_threads(threads);
    return stream_values(folder.file("log.npz"), source, two, Interval::kBootstrap, {}, base::Rng(9)).value();
  };
  const StreamedValues one = run(1);
  const StreamedValues three = run(3);
  base::set_threads(0);
  EXPECT_EQ(one.passes, 1);
  for (std::size_t k = 0; k < two.size(); ++k) {
    EXPECT_EQ(one.values[k].estimate.value, three.values[k].estimate.value);
    EXPECT_EQ(one.values[k].estimate.low(), three.values[k].estimate.low());
    EXPECT_EQ(one.gains[k].estimate.high(), three.gains[k].estimate.high());
  }
}

// Intervals of users with several decisions each: 120 logs, 0.95.
TEST(StreamingStatistical, ResampledUnitsCover) {
  const testing::Bandit bandit = testing::small_bandit();
  const double truth = bandit.value(bandit.target);
  constexpr int kDraws = 120;
  testing::TempFolder folder;
  std::string csv = "kind,action,probability\n";
  for (std::size_t x = 0; x < 4; ++x) {
    for (std::size_t a = 0; a < 4; ++a) csv += fmt::format("x{},a{},{}\n", x, a, bandit.target[x][a]);
  }
  testing::write_file(folder.file("target.csv"), csv);
  const PolicySource source = PolicySource::load(parse_policy("table:" + folder.file("target.csv")).value()).value();
  int covered = 0;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    data::LogBuilder builder("x");
    for (int u = 0; u < 150; ++u) {
      // Each user repeats a decision: rows of a unit are one observation.
      data::DecisionRecord r = testing::bandit_record(bandit, rng);
      r.unit = fmt::format("u{}", u);
      for (int k = 0; k < 3; ++k) EXPECT_TRUE(builder.add(r, "x").ok());
    }
    EXPECT_TRUE(data::write_decision_log(folder.file("log.npz"), builder.take().value()).ok());
    const std::vector<Estimator> one = {Estimator::kSnips};
    const auto v = stream_values(folder.file("log.npz"), source, one, Interval::kBootstrap, {}, rng.fork("ci"));
    EXPECT_TRUE(v.ok()) << v.error().text();
    EXPECT_EQ(v->support.units, 150);
    covered += *v->values[0].estimate.low() <= truth && truth <= *v->values[0].estimate.high() ? 1 : 0;
    return true;
  });
  EXPECT_GE(covered, testing::binomial_floor(kDraws, 0.93)) << "percentiles of 150 units cover about 0.94";
  EXPECT_LT(covered, kDraws);
}

TEST(Streaming, RefusesWhatDoesNotStream) {
  base::Rng rng(6);
  testing::TempFolder folder;
  data::DecisionLog log = crowded_log(200, true, false, rng);
  ASSERT_TRUE(data::write_decision_log(folder.file("log.npz"), log).ok());
  const PolicySource source = PolicySource::load(parse_policy("uniform").value()).value();
  const auto message = [&](Estimator e, Interval i, const std::string& file, const ValueOptions& o = {}) {
    const std::vector<Estimator> one = {e};
    const auto v = stream_values(folder.file(file), source, one, i, o, base::Rng(1));
    return v.ok() ? std::string() : v.error().text();
  };
  EXPECT_THAT(message(Estimator::kDr, Interval::kNormal, "log.npz"), HasSubstr("dr does not stream"));
  EXPECT_THAT(message(Estimator::kIps, Interval::kAnytime, "log.npz"), HasSubstr("anytime bounds do not stream"));
  ValueOptions range;
  range.reward_range = std::pair(0.0, 0.5);
  EXPECT_THAT(message(Estimator::kIps, Interval::kNormal, "log.npz", range), HasSubstr("outside the declared"));
  log.propensity[130] = 0;
  ASSERT_TRUE(data::write_decision_log(folder.file("zero.npz"), log).ok());
  EXPECT_THAT(message(Estimator::kIps, Interval::kNormal, "zero.npz"), HasSubstr("decision 131: propensity is 0"));
  for (auto& cause : log.cause) cause = 1;
  ASSERT_TRUE(data::write_decision_log(folder.file("people.npz"), log).ok());
  EXPECT_THAT(message(Estimator::kIps, Interval::kNormal, "people.npz"), HasSubstr("no decision can be used"));
}

}  // namespace
}  // namespace plumbline::counterfactual
