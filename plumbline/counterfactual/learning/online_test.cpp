#include "plumbline/counterfactual/learning/online.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/learning/pessimistic.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/bandits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using ::testing::HasSubstr;

/// Three classes around three centres, a category that says something too, and a constant column.
data::Table clouds(std::size_t rows, std::uint64_t seed) {
  base::Rng rng(seed, {"clouds"});
  data::Table table;
  for (const char* name : {"u", "v", "constant"}) table.columns.push_back({.name = name});
  table.columns.push_back({.name = "kind", .kind = data::Column::Kind::kCategory, .levels = {"odd", "even"}});
  table.columns.push_back({.name = "class", .kind = data::Column::Kind::kCategory, .levels = {"c", "a", "b"}});
  for (std::size_t i = 0; i < rows; ++i) {
    const auto label = static_cast<int>(rng.below(3));
    table.columns[0].numbers.push_back(rng.normal() + 2 * std::cos(2.1 * label));
    table.columns[1].numbers.push_back(i % 17 == 3 ? std::nan("") : rng.normal() + 2 * std::sin(2.1 * label));
    table.columns[2].numbers.push_back(7);
    table.columns[3].codes.push_back(rng.bernoulli(0.8) ? label % 2 : static_cast<int>(rng.below(2)));
    table.columns[4].codes.push_back(label);
  }
  return table;
}

LearnedPolicy fresh(const LabelledRows& rows, std::string_view algorithm, double epsilon, std::uint64_t seed = 4) {
  LearnedPolicy policy;
  policy.actions = rows.log.action_names;
  policy.features = FeatureMap::of(rows.log.context);
  policy.seed = seed;
  LearnerOptions o{.algorithm = *parse_algorithm(algorithm), .epsilon = epsilon, .seed = seed};
  policy.learner = Learner::make(policy.actions.size(), policy.features.size(), o).value();
  return policy;
}

OnlineRun learn(LearnedPolicy& policy, const LabelledRows& rows, std::size_t first, std::size_t last) {
  auto run = learn_from_labels(policy, rows, {.first = first, .last = last});
  EXPECT_TRUE(run.ok()) << run.error().text();
  return std::move(run).value();
}

TEST(FeatureMap, ScalesNumbersNamesLevelsAndSkipsConstants) {
  const LabelledRows rows = labelled_rows(clouds(400, 1), "class", "x", {}).value();
  EXPECT_THAT(rows.log.action_names, ::testing::ElementsAre("a", "b", "c"));
  const FeatureMap map = FeatureMap::of(rows.log.context);
  ASSERT_EQ(map.features.size(), 4U) << "u, v, kind=odd, kind=even";
  const BoundFeatures bound = BoundFeatures::bind(map, rows.log.context).value();
  std::vector<double> u;
  std::vector<double> x(map.size());
  for (std::size_t i = 0; i < 400; ++i) {
    bound.row(i, x);
    EXPECT_EQ(x[0], 1);
    EXPECT_EQ(x[3] + x[4], 1);
    if (i % 17 == 3) {
      EXPECT_EQ(x[2], 0) << "missing: the mean";
    }
    u.push_back(x[1]);
  }
  const stats::Moments m = stats::moments(u);
  EXPECT_NEAR(m.mean, 0, 1e-12);
  EXPECT_NEAR(m.variance, 1, 1e-12);
  data::Table other = rows.log.context;
  other.columns[0].name = "uu";
  EXPECT_THAT(BoundFeatures::bind(map, other).error().text(), HasSubstr("reads 'u', which the context lacks"));
  other.columns[0].name = "u";
  other.columns[0].kind = data::Column::Kind::kCategory;
  EXPECT_THAT(BoundFeatures::bind(map, other).error().text(), HasSubstr("'u' as a number"));
}

// Whatever the algorithm: the actions follow the logged probabilities (chi-square in ten classes of probability), the
// propensity is the entry of the action, and the same seed gives the same log.
TEST(OnlineStatistical, LoggedPropensitiesAreThoseUsed) {
  const LabelledRows rows = labelled_rows(clouds(3000, 2), "class", "x", {}).value();
  for (const std::string_view name : algorithm_names()) {
    LearnedPolicy policy = fresh(rows, name, 0.1);
    const OnlineRun run = learn(policy, rows, 0, 3000);
    const data::DecisionLog& log = run.decisions;
    std::map<int, std::array<double, 3>> classes;  // expected, seen, variance
    std::vector<int> every;
    for (std::size_t i = 0; i < log.rows(); ++i) {
      const auto p = log.probabilities(i);
      ASSERT_EQ(p.size(), 3U);
      EXPECT_EQ(log.propensity[i], p[static_cast<std::size_t>(log.action[i])]);
      EXPECT_TRUE(row_fault(log, i, log.available(i, every)).empty());
      for (std::size_t a = 0; a < p.size(); ++a) {
        auto& c = classes[static_cast<int>(p[a] * 10)];
        c[0] += p[a];
        c[1] += static_cast<std::size_t>(log.action[i]) == a ? 1 : 0;
        c[2] += p[a] * (1 - p[a]);
      }
    }
    double chi = 0;
    double degrees = 0;
    for (const auto& [key, c] : classes) {
      if (c[2] < 5) continue;
      chi += (c[1] - c[0]) * (c[1] - c[0]) / c[2];
      degrees += 1;
    }
    EXPECT_GE(degrees, 1) << name;
    EXPECT_GT(stats::chi_square_tail(chi, degrees), 1e-4) << name << " " << chi << " in " << degrees;
    // Reward minus its expectation is a martingale with steps of variance at most 1/4.
    EXPECT_NEAR(run.progressive.value, *run.expected, 4.5 * std::sqrt(0.25 / 3000)) << name;
    EXPECT_GT(*run.expected, 0.55) << name << ": chance is 1/3, the best single action about the same";
    LearnedPolicy again = fresh(rows, name, 0.1);
    EXPECT_EQ(learn(again, rows, 0, 3000).decisions.action, log.action);
    EXPECT_EQ(policy_to_json(again), policy_to_json(policy));
    LearnedPolicy other = fresh(rows, name, 0.1, 5);
    EXPECT_NE(learn(other, rows, 0, 3000).decisions.action, log.action);
  }
}

TEST(Online, PutDownAndTakenUpAgainIsTheSameToTheBit) {
  const LabelledRows rows = labelled_rows(clouds(600, 3), "class", "x", std::uint64_t{9}).value();
  testing::TempFolder folder;
  for (const std::string name : {"epsilon_greedy", "softmax", "linucb", "thompson", "squarecb", "bagging", "kept"}) {
    const auto make = [&] {
      LearnedPolicy policy = fresh(rows, name == "kept" ? "squarecb" : name, 0.05);
      if (name == "kept") {
        policy.budget = ConservativeBudget::make({.keep = 0.8}).value();
        policy.baseline_rule = "fixed:b";
      }
      return policy;
    };
    LearnedPolicy whole = make();
    const OnlineRun run = learn(whole, rows, 0, 600);
    LearnedPolicy half = make();
    const OnlineRun first = learn(half, rows, 0, 257);
    ASSERT_TRUE(write_policy(folder.file("half.json"), half).ok());
    LearnedPolicy resumed = read_policy(folder.file("half.json")).value();
    const OnlineRun second = learn(resumed, rows, 257, 600);
    EXPECT_EQ(policy_to_json(resumed), policy_to_json(whole)) << name;
    std::vector<double> joined = first.decisions.set_probabilities;
    joined.insert(joined.end(), second.decisions.set_probabilities.begin(), second.decisions.set_probabilities.end());
    EXPECT_EQ(joined, run.decisions.set_probabilities) << name;
    EXPECT_EQ(second.decisions.context.columns[0].numbers.front(), rows.log.context.columns[0].numbers[257]);
  }
}

// The log that learning wrote, read by the estimators: the baseline's value, whose truth is known, is found.
TEST(Online, ItsLogSpeaksForOtherPolicies) {
  const LabelledRows rows = labelled_rows(clouds(4000, 6), "class", "x", {}).value();
  LearnedPolicy policy = fresh(rows, "squarecb", 0.1);
  const OnlineRun run = learn(policy, rows, 0, 4000);
  testing::TempFolder folder;
  ASSERT_TRUE(data::write_decision_log(folder.file("log.npz"), run.decisions).ok());
  ASSERT_TRUE(write_policy(folder.file("policy.json"), policy).ok());
  const data::DecisionLog log = data::read_decision_log(folder.file("log.npz")).value();
  for (const std::string& text :
       {std::string("fixed:a"), std::string("uniform"), "model:" + folder.file("policy.json")}) {
    const TargetPtr target = make_policy(parse_policy(text).value(), log).value();
    double truth = 0;
    std::vector<int> every;
    std::vector<double> p(3);
    for (std::size_t i = 0; i < log.rows(); ++i) {
      target->probabilities(i, log.available(i, every), p);
      truth += p[static_cast<std::size_t>(rows.label[i])] / 4000;
    }
    const auto e = Evaluation::make(log, *target, false, {}, base::Rng(1));
    ASSERT_TRUE(e.ok()) << e.error().text();
    const PolicyValue v = e->value(Estimator::kIps, Interval::kNormal).value();
    ASSERT_NE(v.outcome, Outcome::kCannotSay) << text;
    // The propensities of an adaptive log depend on the past; the terms are a martingale, and their error is the root
    // of the summed variances all the same.
    EXPECT_NEAR(v.estimate.value, truth, 4 * (*v.estimate.high() - *v.estimate.low()) / 3.92) << text;
  }
}

// Progressive validation: the mean over 150 logs of (ips - value of the policies in turn) is zero.
TEST(OnlineStatistical, ProgressiveValueIsUnbiasedForThePoliciesInTurn) {
  const testing::Bandit bandit = testing::small_bandit(0.6);
  constexpr int kLogs = 150;
  constexpr std::size_t kRows = 200;
  std::vector<double> gaps;
  testing::count_seeds(kLogs, [&](base::Rng& rng) {
    const data::DecisionLog log = testing::bandit_log(bandit, kRows, rng);
    LearnedPolicy policy;
    policy.actions = log.action_names;
    policy.features = FeatureMap::of(log.context);
    policy.learner = Learner::make(4, policy.features.size(), {.algorithm = Algorithm::kSquareCb}).value();
    LearnedPolicy walked = policy;
    const auto run = learn_from_log(policy, log, {.first = 0, .last = kRows}, base::Rng(1));
    EXPECT_TRUE(run.ok()) << run.error().text();
    const BoundFeatures features = BoundFeatures::bind(walked.features, log.context).value();
    // A row of each context, to ask the policy there.
    std::array<std::size_t, 4> row_of{};
    for (std::size_t i = 0; i < kRows; ++i)
      row_of[static_cast<std::size_t>(log.policy_names[static_cast<std::size_t>(log.policy[i])][1] - '0')] = i;
    std::vector<int> available;
    std::vector<double> x(features.size()), p(4);
    double truth = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
      for (std::size_t c = 0; c < 4; ++c) {
        features.row(row_of[c], x);
        const auto all = log.available(row_of[c], available);
        walked.probabilities(x, all, {}, p);
        for (std::size_t a = 0; a < 4; ++a)
          truth +=
              bandit.context[c] * p[a] *
              bandit.mean[c][static_cast<std::size_t>(log.action_names[static_cast<std::size_t>(all[a])][1] - '0')] /
              static_cast<double>(kRows);
      }
      features.row(i, x);
      walked.learner->update(x, log.action[i], log.reward[i]);
    }
    EXPECT_EQ(policy.learner->state(), walked.learner->state());
    gaps.push_back(run->curve.back().second - truth);
    return true;
  });
  const stats::Moments m = stats::moments(gaps);
  EXPECT_LT(std::abs(m.mean), 4 * std::sqrt(m.variance / kLogs)) << m.mean;
}

TEST(Online, RefusesWhatItCannotLearnFrom) {
  const auto message = [](const auto& result) { return result.ok() ? std::string() : result.error().text(); };
  EXPECT_THAT(message(labelled_rows(clouds(50, 1), "clas", "x", {})), HasSubstr("did you mean 'class'?"));
  EXPECT_THAT(message(labelled_rows(clouds(50, 1), "constant", "x", {})), HasSubstr("has one value"));
  EXPECT_THAT(message(labelled_rows(clouds(50, 1), "v", "x", {})), HasSubstr("row 4 has no label"));
  const LabelledRows rows = labelled_rows(clouds(50, 1), "class", "x", {}).value();
  LearnedPolicy policy = fresh(rows, "linucb", 0);
  EXPECT_THAT(message(learn_from_labels(policy, rows, {.first = 40, .last = 60})), HasSubstr("rows 41 to 60 of 50"));
  policy.actions = {"a", "b", "d"};
  EXPECT_THAT(message(learn_from_labels(policy, rows, {.first = 0, .last = 50})), HasSubstr("knows no action 'c'"));
  policy = fresh(rows, "linucb", 0);
  policy.budget = ConservativeBudget::make({}).value();
  policy.baseline_rule = "fixed:q";
  EXPECT_THAT(message(learn_from_labels(policy, rows, {.first = 0, .last = 50})), HasSubstr("'q' is not in the log"));
  EXPECT_THAT(message(learn_from_log(policy, rows.log, {.first = 0, .last = 50}, base::Rng(1))),
              HasSubstr("must decide itself"));
}

TEST(LearnedPolicyFile, RefusesWhatItDidNotWrite) {
  const LabelledRows rows = labelled_rows(clouds(50, 1), "class", "x", {}).value();
  const std::string good = policy_to_json(fresh(rows, "linucb", 0));
  ASSERT_TRUE(policy_from_json(good, "f").ok());
  const auto message = [](const std::string& text) {
    const auto read = policy_from_json(text, "f");
    return read.ok() ? std::string() : read.error().text();
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return message(text.replace(at, from.size(), to));
  };
  EXPECT_THAT(message("{"), HasSubstr("is no learned policy"));
  EXPECT_THAT(message(good.substr(0, good.size() / 2)), HasSubstr("is no learned policy"));
  EXPECT_THAT(changed("\"plumbline_policy\": 1", "\"plumbline_policy\": 2"), HasSubstr("version 2"));
  EXPECT_THAT(changed("\"linucb\"", "\"linucp\""), HasSubstr("did you mean 'linucb'"));
  EXPECT_THAT(changed("\"ridge\": 1.0", "\"ridge\": \"1\""), HasSubstr("'ridge' is missing or of another kind"));
  EXPECT_THAT(changed("\"scale\": ", "\"scale\": -"), HasSubstr("not positive"));
  EXPECT_THAT(changed("\"level\": \"odd\"", "\"level\": 3"), HasSubstr("'level'"));
  EXPECT_THAT(changed("\"a\",", "\"a\", \"z\","), HasSubstr("regression 1 is of another size"));
}

// --- pessimistic

SoftmaxRows some_rows(std::size_t n, base::Rng& rng) {
  SoftmaxRows rows;
  rows.features = 3;
  rows.actions = 4;
  rows.start.push_back(0);
  for (std::size_t i = 0; i < n; ++i) {
    rows.x.insert(rows.x.end(), {1, rng.normal(), rng.normal()});
    const std::size_t first = rows.available.size();
    for (int a = 0; a < 4; ++a) {
      if (a < 2 || rng.bernoulli(0.7)) rows.available.push_back(a);
    }
    rows.start.push_back(rows.available.size());
    rows.taken.push_back(rng.below(rows.available.size() - first));
    rows.reward.push_back(rng.uniform(-1, 2));
    rows.propensity.push_back(rng.uniform(0.1, 0.9));
  }
  return rows;
}

TEST(Pessimistic, ObjectiveAndGradientAgainstPlainFormulas) {
  base::Rng rng(8);
  const SoftmaxRows rows = some_rows(300, rng);
  std::vector<double> theta(12);
  for (double& v : theta) v = rng.normal();
  const auto plain = [&](const std::vector<double>& at) {
    std::vector<double> w;
    double total = 0, product = 0, squares = 0, size = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double own = 0, all = 0;
      for (std::size_t k = rows.start[i]; k < rows.start[i + 1]; ++k) {
        double s = 0;
        for (std::size_t j = 0; j < 3; ++j)
          s += at[static_cast<std::size_t>(rows.available[k]) * 3 + j] * rows.x[i * 3 + j];
        all += std::exp(s);
        if (k == rows.start[i] + rows.taken[i]) own = std::exp(s);
      }
      w.push_back(own / all / rows.propensity[i]);
      total += w.back();
      product += w.back() * rows.reward[i];
    }
    for (std::size_t i = 0; i < rows.size(); ++i) squares += std::pow(w[i] * (rows.reward[i] - product / total), 2);
    for (const double v : at) size += v * v;
    double second = 0;
    for (const double v : w) second += v * v;
    return product / total - 1.3 * std::sqrt(squares) / total - 7.0 / 6 * 1.3 * 1.3 * 2.5 / (total * total / second) -
           0.01 * size;
  };
  std::vector<double> gradient;
  EXPECT_NEAR(pessimistic_objective(rows, theta, 1.3, 2.5, 0.01, &gradient), plain(theta), 1e-12);
  for (std::size_t j = 0; j < theta.size(); ++j) {
    constexpr double kStep = 1e-5;
    std::vector<double> up = theta, down = theta;
    up[j] += kStep;
    down[j] -= kStep;
    EXPECT_NEAR(gradient[j], (plain(up) - plain(down)) / (2 * kStep), 1e-8) << j;
  }
}

double true_value(const testing::Bandit& bandit, const LearnedPolicy& policy) {
  base::Rng rng(1);
  // A log with every context, to ask the policy there.
  const data::DecisionLog log = testing::bandit_log(bandit, 400, rng);
  const TargetPtr target = frozen_policy(policy, log).value();
  std::vector<int> every;
  std::vector<double> p(4);
  std::map<std::size_t, double> value;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    const auto c = static_cast<std::size_t>(log.policy_names[static_cast<std::size_t>(log.policy[i])][1] - '0');
    const auto all = log.available(i, every);
    target->probabilities(i, all, p);
    value[c] = 0;
    for (std::size_t k = 0; k < all.size(); ++k)
      value[c] +=
          p[k] * bandit.mean[c][static_cast<std::size_t>(log.action_names[static_cast<std::size_t>(all[k])][1] - '0')];
  }
  double sum = 0;
  for (const auto& [c, v] : value) sum += bandit.context[c] * v;
  return sum;
}

// What is learned is better than what logged; the figure on the judging rows covers the exact truth; and where rows are
// few the pessimist earns more than the optimist.
TEST(PessimisticStatistical, LearnsAPolicyWhoseValueIsJudgedHonestly) {
  const testing::Bandit bandit = testing::small_bandit(0.5);
  const double logging = bandit.value(bandit.logging);
  constexpr int kDraws = 40;
  int covered = 0, better = 0;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    const data::DecisionLog log = testing::bandit_log(bandit, 1500, rng);
    const auto fit = learn_pessimistic(log, {}, {}, 3);
    EXPECT_TRUE(fit.ok()) << fit.error().text();
    EXPECT_EQ(fit->fitted + fit->judged, 1500U);
    const double truth = true_value(bandit, fit->policy);
    better += truth > logging ? 1 : 0;
    EXPECT_NE(fit->values[1].outcome, Outcome::kCannotSay);
    covered += *fit->values[1].estimate.low() <= truth && truth <= *fit->values[1].estimate.high() ? 1 : 0;
    return true;
  });
  EXPECT_GE(covered, testing::binomial_floor(kDraws, 0.95));
  EXPECT_GE(better, kDraws - 1);
  // Where the logging policy is good, few rows speak for anything else, and some of those by luck.
  testing::Bandit good = testing::small_bandit(0.2);
  for (std::size_t x = 0; x < 4; ++x) {
    std::iter_swap(std::max_element(good.mean[x].begin(), good.mean[x].end()),
                   good.mean[x].begin() + static_cast<std::ptrdiff_t>(x));
  }
  std::vector<double> gap;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    const data::DecisionLog log = testing::bandit_log(good, 200, rng);
    const auto shy = learn_pessimistic(log, {}, {}, 3);
    const auto bold = learn_pessimistic(log, {.penalty = 0}, {}, 3);
    EXPECT_TRUE(shy.ok() && bold.ok());
    gap.push_back(true_value(good, shy->policy) - true_value(good, bold->policy));
    return true;
  });
  const stats::Moments m = stats::moments(gap);
  EXPECT_GT(m.mean / std::sqrt(m.variance / kDraws), 2) << m.mean;
  RecordProperty("covered", covered);
  RecordProperty("shy_minus_bold", fmt::format("{:.4f}", m.mean));
}

TEST(Pessimistic, SaysWhatIsMissing) {
  base::Rng rng(2);
  const data::DecisionLog log = testing::bandit_log(testing::small_bandit(), 50, rng);
  EXPECT_THAT(learn_pessimistic(log, {}, {}, 1).error().text(), HasSubstr("50 units can be used, at least 60"));
  EXPECT_THAT(learn_pessimistic(log, {.penalty = -1}, {}, 1).error().text(), HasSubstr("penalty is -1"));
  EXPECT_THAT(learn_pessimistic(log, {.judge_share = 1}, {}, 1).error().text(), HasSubstr("judge_share is 1"));
}

// Sets with exact truth: learning by each algorithm earns more than the best single action.
TEST(OnlineReal, CovertypeAndDigits) {
  PL_NEEDS_DATA(folder, "bandit/multiclass");
  data::TableOptions tabs;
  tabs.separator = '\t';
  tabs.limit = 4000;
  const LabelledRows covertype = labelled_rows(data::read_csv(folder + "/covertype_10000.txt", tabs).value(), "Type",
                                               "covertype", std::uint64_t{1})
                                     .value();
  EXPECT_EQ(covertype.log.actions(), 7U);
  data::TableOptions bare;
  bare.header = false;
  bare.limit = 1200;
  const LabelledRows digits =
      labelled_rows(data::read_csv(folder + "/optdigits.csv.gz", bare).value(), "column 65", "digits", {}).value();
  EXPECT_EQ(digits.log.actions(), 10U);
  for (const std::string_view name : {"epsilon_greedy", "squarecb", "linucb"}) {
    LearnedPolicy policy = fresh(covertype, name, 0.05);
    const OnlineRun run = learn(policy, covertype, 0, covertype.label.size());
    EXPECT_GT(*run.expected, *run.best_fixed) << name;
    LearnedPolicy second = fresh(digits, name, 0.05);
    const OnlineRun other = learn(second, digits, 0, digits.label.size());
    EXPECT_GT(*other.expected, 0.5) << name << ": chance is a tenth";
    RecordProperty(std::string(name), fmt::format("covertype {:.3f} (best single {:.3f}), digits {:.3f}", *run.expected,
                                                  *run.best_fixed, *other.expected));
  }
}

}  // namespace
}  // namespace plumbline::counterfactual::learning
