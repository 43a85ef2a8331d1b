#include "plumbline/caution/hierarchy.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/decision/predictor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

const std::vector<std::string> kClasses = {"cat", "dog", "car", "bus"};
const std::vector<std::string> kLines = {"animal: cat, dog", "vehicle: car, bus"};

std::string fault(const std::vector<std::string>& lines) {
  const auto tree = make_hierarchy(lines, kClasses);
  return tree.ok() ? "fine" : tree.error().text();
}

TEST(Hierarchy, TreeFromLines) {
  const auto tree = make_hierarchy(kLines, kClasses);
  ASSERT_TRUE(tree.ok()) << tree.error().text();
  EXPECT_EQ(tree->names, (std::vector<std::string>{"any", "animal", "vehicle", "cat", "dog", "car", "bus"}));
  EXPECT_EQ(tree->parent, (std::vector<int>{-1, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(tree->classes[1], (std::vector<int>{0, 1}));
  EXPECT_EQ(tree->classes[0].size(), 4U);
  EXPECT_EQ(tree->gain, (std::vector<double>{0, 1, 1, 2, 2, 2, 2}));
  EXPECT_EQ(tree->specificity(1), 0.5);
  const auto rooted = make_hierarchy(std::vector<std::string>{"thing: animal, car, bus", "animal: cat, dog"}, kClasses);
  ASSERT_TRUE(rooted.ok()) << rooted.error().text();
  EXPECT_EQ(rooted->names.front(), "thing");
  EXPECT_EQ(rooted->parent, (std::vector<int>{-1, 0, 1, 1, 0, 0}));
  EXPECT_EQ(make_hierarchy({}, kClasses)->names.size(), 5U);
}

TEST(Hierarchy, FaultsAreNamed) {
  EXPECT_EQ(fault(kLines), "fine");
  EXPECT_NE(fault({"animal cat"}).find("expected \"parent: child, child\""), std::string::npos);
  EXPECT_NE(fault({"animal: cat,"}).find("an empty child"), std::string::npos);
  EXPECT_NE(fault({"cat: dog"}).find("'cat' is a class"), std::string::npos);
  EXPECT_NE(fault({"animal: cat, dgo"}).find("'dgo' below 'animal'"), std::string::npos);
  EXPECT_NE(fault({"animal: cat, dgo"}).find("Did you mean 'dog'"), std::string::npos);
  EXPECT_NE(fault({"animal: cat", "pet: cat"}).find("'cat' is below both"), std::string::npos);
  EXPECT_NE(fault({"a: b", "b: a"}).find("below itself"), std::string::npos);
}

TEST(Hierarchy, BolderTradesGiveMoreSpecificAnswers) {
  const auto tree = make_hierarchy(kLines, kClasses);
  MatrixD p(1, 4);
  p << 0.5, 0.4, 0.06, 0.04;
  // gain + trade times P: cat 2 * 0.5 = 1, animal 1 * 0.9; with trade 1: cat 1.5, animal 1.8, any 1; with 20 any 20.
  EXPECT_EQ((*hierarchical_answers(*tree, 0, p))[0], 3);
  EXPECT_EQ((*hierarchical_answers(*tree, 1, p))[0], 1);
  EXPECT_EQ((*hierarchical_answers(*tree, 20, p))[0], 0);
  EXPECT_EQ((*hierarchical_answers(*tree, std::numeric_limits<double>::infinity(), p))[0], 0);
  EXPECT_FALSE(hierarchical_answers(*tree, 0, MatrixD::Constant(1, 2, 0.5)).ok());
}

TEST(Hierarchy, TooFewRowsLeaveTheRoot) {
  const auto tree = make_hierarchy(kLines, kClasses);
  const MatrixD p = MatrixD::Identity(4, 4);
  const auto rule = fit_hierarchy(*tree, p, std::vector<int>{0, 1, 2, 3}, {}, {});
  ASSERT_TRUE(rule.ok()) << rule.error().text();
  EXPECT_TRUE(std::isinf(rule->trade));
  EXPECT_EQ(rule->accuracy, 1);
  EXPECT_FALSE(fit_hierarchy(*tree, p, std::vector<int>{0, 1, 2, 4}, {}, {}).ok());
  EXPECT_FALSE(fit_hierarchy(*tree, p, std::vector<int>{0, 1, 2, 3}, {}, {.target = 1.0}).ok());
  EXPECT_FALSE(fit_hierarchy(*tree, p, std::vector<int>{0, 1, 2, 3}, {}, {.confidence = 0.99999}).ok());
}

TEST(Hierarchy, QualityByHand) {
  const auto tree = make_hierarchy(kLines, kClasses);
  const auto quality = judge_hierarchy(*tree, std::vector<int>{3, 1, 0, 6}, std::vector<int>{0, 1, 2, 2});
  ASSERT_TRUE(quality.ok()) << quality.error().text();
  EXPECT_EQ(quality->accuracy.value, 0.75);
  EXPECT_EQ(quality->specificity.value, (1 + 0.5 + 0 + 1) / 4);
  EXPECT_EQ(quality->leaf_share.value, 0.5);
  EXPECT_EQ(quality->wrong, (std::vector<std::size_t>{3}));
}

/// A classifier that is overconfident: labels come from flatter logits than it states.
struct Sample {
  MatrixD p;
  MatrixD truth;
  std::vector<int> labels;
};
Sample overconfident(base::Rng& rng, std::ptrdiff_t n) {
  MatrixD z(n, 4);
  Sample sample;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double kind = rng.normal(0, 3);
    for (std::ptrdiff_t c = 0; c < 4; ++c) z(i, c) = rng.normal(0, 1) + (c < 2 ? kind : -kind);
  }
  sample.truth = decision::softmax(z);
  sample.p = decision::softmax(3 * z);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    double u = rng.uniform();
    int label = 0;
    while (label + 1 < 4 && u >= sample.truth(i, label)) u -= sample.truth(i, label++);
    sample.labels.push_back(label);
  }
  return sample;
}

/// Expected accuracy on rows whose law is known.
double accuracy_in_truth(const Hierarchy& tree, const std::vector<int>& answers, const MatrixD& truth) {
  double right = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    for (const int c : tree.classes[static_cast<std::size_t>(answers[i])])
      right += truth(static_cast<std::ptrdiff_t>(i), c);
  }
  return right / static_cast<double>(answers.size());
}

// The promise is about the accuracy on the source: each rule is judged by the true law on one large sample. 400 repeats
// a target: how many keep it may not refute that at least the confidence, 0.9, of all do.
TEST(HierarchyStatistical, AccuracyHoldsAtEveryTarget) {
  const auto tree = make_hierarchy(kLines, kClasses);
  ASSERT_TRUE(tree.ok());
  base::Rng source(11);
  const Sample fresh = overconfident(source, 8000);
  for (const double target : {0.7, 0.8, 0.9, 0.95, 0.99}) {
    double specificity = 0;
    const int kept = testing::count_seeds(400, [&](base::Rng& rng) {
      const Sample rows = overconfident(rng, 300);
      const auto rule = fit_hierarchy(*tree, rows.p, rows.labels, {}, {.target = target, .confidence = 0.9});
      const auto answers = hierarchical_answers(*tree, rule->trade, fresh.p);
      double mean = 0;
      for (const int node : *answers) mean += tree->specificity(static_cast<std::size_t>(node));
      specificity += mean / static_cast<double>(answers->size()) / 400;
      return accuracy_in_truth(*tree, *answers, fresh.truth) >= target;
    });
    EXPECT_GE(kept, testing::binomial_floor(400, 0.9)) << target;
    // Bolder than always the root, unless nothing can be shown at all.
    if (target < 0.99) {
      EXPECT_GT(specificity, 0.2) << target;
    }
    RecordProperty("kept at " + std::to_string(target), kept);
    std::printf("target %.2f: kept in %d of 400, mean specificity %.3f\n", target, kept, specificity);
  }
}

}  // namespace
}  // namespace plumbline::caution
