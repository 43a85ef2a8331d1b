/// Published figures and sets with exact truth.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/logistic.hpp"
#include "plumbline/stats/special.hpp"
#include "tests/support/bandits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

/// Numbers of a list in the YAML of priors: campaign, then alpha or beta.
std::vector<double> prior(const std::string& yaml, const std::string& campaign, const std::string& part) {
  std::istringstream lines(yaml);
  std::string line;
  bool here = false;
  bool list = false;
  std::vector<double> out;
  while (std::getline(lines, line)) {
    if (!line.empty() && line[0] != ' ') here = line == campaign + ":";
    if (here && line == "  " + part + ":") {
      list = true;
    } else if (list && line.starts_with("    - ")) {
      out.push_back(std::stod(line.substr(6)));
    } else {
      list = false;
    }
  }
  return out;
}

/// Probability that each item is drawn at each of three positions when positions go to the largest Beta draws: the
/// integral over the item's own draw of the chance that exactly l - 1 others are larger.
std::vector<std::vector<double>> thompson_positions(const std::vector<double>& alpha, const std::vector<double>& beta) {
  const std::size_t items = alpha.size();
  constexpr int kPoints = 400;
  std::vector<std::vector<double>> p(3, std::vector<double>(items, 0.0));
  for (std::size_t i = 0; i < items; ++i) {
    for (int m = 0; m < kPoints; ++m) {
      const double x = stats::beta_quantile((m + 0.5) / kPoints, alpha[i], beta[i]);
      std::array<double, 3> exactly{1, 0, 0};
      for (std::size_t k = 0; k < items; ++k) {
        if (k == i) continue;
        const double larger = stats::beta_tail(x, alpha[k], beta[k]);
        for (std::size_t c = 3; c-- > 0;)
          exactly[c] = exactly[c] * (1 - larger) + (c > 0 ? exactly[c - 1] * larger : 0);
      }
      for (std::size_t c = 0; c < 3; ++c) p[c][i] += exactly[c] / kPoints;
    }
  }
  return p;
}

/// On-policy figure and estimate from the other log, both random: does the 0.95 interval of the difference hold zero?
bool agrees(const stats::Estimate& estimate, const stats::Estimate& truth) {
  const double z = stats::normal_quantile(0.975);
  const double a = (*estimate.high() - *estimate.low()) / (2 * z);
  const double b = (*truth.high() - *truth.low()) / (2 * z);
  return std::abs(estimate.value - truth.value) <= z * std::sqrt(a * a + b * b);
}

TEST(OpenBandit, BothDirectionsReproduceTheReferenceFigures) {
  PL_NEEDS_DATA(folder, "bandit/obd_men");
  const data::DecisionLog random = std::move(data::read_decision_log(folder + "/random_men.csv.gz")).value();
  const data::DecisionLog bts = std::move(data::read_decision_log(folder + "/bts_men.csv.gz")).value();
  const std::string yaml = testing::read_file(folder + "/bts_beta_priors.yaml");
  const auto alpha = prior(yaml, "men", "alpha");
  const auto beta = prior(yaml, "men", "beta");
  ASSERT_EQ(alpha.size(), 34U);
  ASSERT_EQ(beta.size(), 34U);
  const auto thompson = thompson_positions(alpha, beta);
  // Midpoints in the item's own quantile: the integrand rises steeply at the upper end, so the error is of order
  // 1/points.
  for (const auto& p : thompson) EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 0.005);

  testing::TempFolder out;
  std::string csv = "position,action,probability\n";
  for (std::size_t l = 0; l < 3; ++l) {
    const double total = std::accumulate(thompson[l].begin(), thompson[l].end(), 0.0);
    for (std::size_t a = 0; a < 34; ++a) csv += fmt::format("{},{},{}\n", l + 1, a, thompson[l][a] / total);
  }
  testing::write_file(out.file("thompson.csv"), csv);

  const auto target = make_policy(*parse_policy("table:" + out.file("thompson.csv")), random);
  ASSERT_TRUE(target.ok()) << target.error().text();
  const auto forward = Evaluation::make(random, **target, true, {}, base::Rng(1));
  ASSERT_TRUE(forward.ok()) << forward.error().text();
  const auto value = [](const Evaluation& e, Estimator estimator) {
    const auto v = e.value(estimator, Interval::kNormal);
    EXPECT_TRUE(v.ok()) << v.error().text();
    return *v;
  };
  // The reference's action probabilities come from 100,000 simulations: about 1.5e-5 in these figures.
  EXPECT_NEAR(value(*forward, Estimator::kIps).estimate.value, 0.004534, 5e-5);
  EXPECT_NEAR(value(*forward, Estimator::kSnips).estimate.value, 0.004604, 5e-5);
  // Another model of the reward (ridge instead of logistic): not to all digits, and `direct`, which is the model, not
  // at all.
  EXPECT_NEAR(value(*forward, Estimator::kDr).estimate.value, 0.004591, 3e-4);

  const auto uniform = make_policy(*parse_policy("uniform"), bts);
  const auto back = Evaluation::make(bts, **uniform, true, {}, base::Rng(1));
  ASSERT_TRUE(back.ok());
  EXPECT_NEAR(value(*back, Estimator::kIps).estimate.value, 0.003009, 5e-7) << "no model, no simulation: all digits";
  EXPECT_NEAR(value(*back, Estimator::kSnips).estimate.value, 0.003189, 5e-7);
  EXPECT_NEAR(value(*back, Estimator::kDr).estimate.value, 0.003388, 6e-4);

  const auto truth_random = forward->logged_value();
  const auto truth_bts = back->logged_value();
  EXPECT_NEAR(truth_random->value, 0.0046, 1e-12);
  EXPECT_NEAR(truth_bts->value, 0.0069, 1e-12);
  for (const Estimator estimator : {Estimator::kIps, Estimator::kSnips, Estimator::kDr, Estimator::kMrdr}) {
    for (const auto& [e, truth] : {std::pair(&*forward, &*truth_bts), std::pair(&*back, &*truth_random)}) {
      const PolicyValue v = value(*e, estimator);
      ASSERT_NE(v.outcome, Outcome::kCannotSay);
      EXPECT_TRUE(agrees(v.estimate, *truth)) << estimator_name(estimator);
      RecordProperty(fmt::format("{}_{}", estimator_name(estimator), e == &*back ? "back" : "forward"),
                     fmt::format("{:.6f} [{:.6f}, {:.6f}] {}", v.estimate.value, *v.estimate.low(), *v.estimate.high(),
                                 outcome_name(v.outcome)));
    }
  }
}

/// Rows of probabilities as a policy: row i of the log is row i of the matrix.
class MatrixPolicy final : public TargetPolicy {
 public:
  explicit MatrixPolicy(MatrixD p) : p_(std::move(p)) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    for (std::size_t k = 0; k < available.size(); ++k) out[k] = p_(static_cast<Eigen::Index>(row), available[k]);
  }

 private:
  MatrixD p_;
};

TEST(SupervisedToBanditStatistical, IntervalsHoldTheExactTruth) {
  PL_NEEDS_DATA(path, "bandit/multiclass/covertype_10000.txt");
  data::TableOptions tabs;
  tabs.separator = '\t';
  const auto table = data::read_csv(path, tabs);
  ASSERT_TRUE(table.ok()) << table.error().text();
  const auto rows = static_cast<Eigen::Index>(table->rows());
  MatrixD x(rows, 10);
  std::vector<int> label;
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < 10; ++j)
      x(i, j) = table->columns[static_cast<std::size_t>(j)].numbers[static_cast<std::size_t>(i)];
  }
  const data::Column* type = table->find("Type");
  ASSERT_NE(type, nullptr);
  for (std::size_t i = 0; i < table->rows(); ++i)
    label.push_back(static_cast<int>(type->kind == data::Column::Kind::kNumber
                                         ? type->numbers[i]
                                         : std::stod(type->levels[static_cast<std::size_t>(type->codes[i])])) -
                    1);
  constexpr Eigen::Index kFit = 2000;
  constexpr int kClasses = 7;
  const MatrixD head = x.topRows(kFit);
  const auto model = stats::fit_logistic(MatrixRefD(head), std::span(label).first(kFit), kClasses);
  ASSERT_TRUE(model.ok());
  const MatrixD tail = x.bottomRows(rows - kFit);
  const MatrixD p = model->predict(MatrixRefD(tail)).value();
  // The log draws from the classifier softened with a third of chance; the target takes the likeliest class, with a
  // tenth of chance.
  const Eigen::Index n = tail.rows();
  MatrixD mu(n, kClasses), pi(n, kClasses);
  double truth = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    Eigen::Index best = 0;
    p.row(i).maxCoeff(&best);
    for (Eigen::Index a = 0; a < kClasses; ++a) {
      mu(i, a) = 0.67 * p(i, a) + 0.33 / kClasses;
      pi(i, a) = (a == best ? 0.9 : 0.0) + 0.1 / kClasses;
    }
    truth += pi(i, label[static_cast<std::size_t>(kFit + i)]) / static_cast<double>(n);
  }
  constexpr int kDraws = 60;
  std::map<Estimator, int> covered;
  testing::count_seeds(kDraws, [&](base::Rng& rng) {
    data::LogBuilder builder("covertype");
    std::vector<std::string> names;
    for (int a = 0; a < kClasses; ++a) names.push_back(fmt::format("{}", a));
    builder.declare_actions(names);
    for (Eigen::Index i = 0; i < n; ++i) {
      std::vector<double> row(kClasses);
      for (Eigen::Index a = 0; a < kClasses; ++a) row[static_cast<std::size_t>(a)] = mu(i, a);
      const std::size_t a = testing::draw(rng, row);
      data::DecisionRecord r;
      for (Eigen::Index j = 0; j < 10; ++j) r.context.emplace_back(fmt::format("x{}", j), tail(i, j));
      r.action = r.final_action = names[a];
      r.propensity = row[a];
      r.reward = static_cast<int>(a) == label[static_cast<std::size_t>(kFit + i)] ? 1 : 0;
      EXPECT_TRUE(builder.add(r, "x").ok());
    }
    const data::DecisionLog log = std::move(builder.take()).value();
    const auto e = Evaluation::make(log, MatrixPolicy(pi), true, {}, base::Rng(2));
    EXPECT_TRUE(e.ok());
    for (const Estimator estimator : {Estimator::kIps, Estimator::kSnips, Estimator::kDr, Estimator::kMrdr}) {
      const auto v = e->value(estimator, Interval::kNormal);
      EXPECT_EQ(v->outcome, Outcome::kSays);
      covered[estimator] += *v->estimate.low() <= truth && truth <= *v->estimate.high() ? 1 : 0;
    }
    return true;
  });
  // The rows are fixed here and only the draws of the log vary, so intervals are if anything too wide.
  for (const auto& [estimator, count] : covered)
    EXPECT_GE(count, testing::binomial_floor(kDraws, 0.95)) << estimator_name(estimator);
}

}  // namespace
}  // namespace plumbline::counterfactual
