#include "plumbline/caution/uncertainty.hpp"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::caution {
namespace {

MatrixD rows(std::initializer_list<std::initializer_list<double>> values) {
  MatrixD m(static_cast<std::ptrdiff_t>(values.size()), static_cast<std::ptrdiff_t>(values.begin()->size()));
  std::ptrdiff_t i = 0;
  for (const auto& row : values) {
    std::ptrdiff_t j = 0;
    for (const double v : row) m(i, j++) = v;
    ++i;
  }
  return m;
}

TEST(PredictiveEntropy, HandCases) {
  const auto entropy = predictive_entropy(rows({{0.5, 0.5}, {1, 0}, {0.25, 0.75}}));
  ASSERT_TRUE(entropy.ok());
  EXPECT_NEAR((*entropy)(0), std::log(2), 1e-15);
  EXPECT_EQ((*entropy)(1), 0);
  EXPECT_NEAR((*entropy)(2), std::log(4) - 0.75 * std::log(3), 1e-15);
  EXPECT_FALSE(predictive_entropy(rows({{0.5, 0.6}})).ok());
}

TEST(SplitEnsemble, MembersThatContradictEachOtherAreAllModelDoubt) {
  const auto parts = split_ensemble(std::array{rows({{1, 0}, {0.5, 0.5}}), rows({{0, 1}, {0.5, 0.5}})});
  ASSERT_TRUE(parts.ok());
  EXPECT_NEAR(parts->total(0), std::log(2), 1e-15);
  EXPECT_EQ(parts->aleatoric(0), 0);
  EXPECT_NEAR(parts->model(0), std::log(2), 1e-15);
  EXPECT_NEAR(parts->aleatoric(1), std::log(2), 1e-15);
  EXPECT_EQ(parts->model(1), 0);
}

// The mutual information is the mean divergence of the members from their mean: another formula for the same figure.
TEST(SplitEnsemble, ModelPartIsTheMeanDivergenceFromTheMean) {
  base::Rng rng(4);
  std::vector<MatrixD> members;
  for (int m = 0; m < 5; ++m) {
    MatrixD p(20, 4);
    for (std::ptrdiff_t i = 0; i < 20; ++i) {
      for (std::ptrdiff_t c = 0; c < 4; ++c) p(i, c) = rng.exponential();
      p.row(i) /= p.row(i).sum();
    }
    members.push_back(p);
  }
  const auto parts = split_ensemble(members);
  ASSERT_TRUE(parts.ok());
  for (std::ptrdiff_t i = 0; i < 20; ++i) {
    double divergence = 0;
    for (const MatrixD& p : members) {
      for (std::ptrdiff_t c = 0; c < 4; ++c) divergence += p(i, c) * std::log(p(i, c) / parts->mean(i, c)) / 5;
    }
    EXPECT_NEAR(parts->model(i), divergence, 1e-12);
    EXPECT_NEAR(parts->total(i), parts->aleatoric(i) + parts->model(i), 1e-12);
  }
}

TEST(SplitEnsemble, RefusesOneMemberAndUnequalOnes) {
  const MatrixD p = rows({{0.5, 0.5}});
  EXPECT_FALSE(split_ensemble(std::array{p}).ok());
  const auto unequal = split_ensemble(std::array{p, rows({{0.5, 0.5}, {0.5, 0.5}})});
  ASSERT_FALSE(unequal.ok());
  EXPECT_NE(unequal.error().text().find("member 1"), std::string::npos) << unequal.error().text();
}

CostModel disputed() {
  CostModel costs{{"keep", "drop"}, {}};
  costs.readings.push_back({"careful", 0, rows({{0, 4}, {1, 0}})});
  costs.readings.push_back({"thrifty", 0, rows({{0, 1}, {1, 0}})});
  return costs;
}

TEST(Readings, RecommendByExpectedCostAndDifferWhereTheyDiffer) {
  // careful drops when 4 p > 1 - p, thrifty when p > 1/2: they differ for p in (0.2, 0.5).
  const auto differ = readings_differ(disputed(), rows({{0.9, 0.1}, {0.7, 0.3}, {0.4, 0.6}}));
  ASSERT_TRUE(differ.ok()) << differ.error().text();
  EXPECT_EQ(*differ, (std::vector<std::uint8_t>{0, 1, 0}));
  const auto readings = recommend(disputed(), std::vector<double>{0.7, 0.3});
  ASSERT_EQ(readings.size(), 2U);
  EXPECT_EQ(readings[0].action, "drop");
  EXPECT_EQ(readings[1].action, "keep");
  EXPECT_EQ(readings[1].name, "thrifty");
}

// More certainty about the world does not settle what was meant.
TEST(Readings, SpecificationStaysHoweverSureTheModelIs) {
  CostModel costs{{"a", "b"}, {}};
  costs.readings.push_back({"one", 0, rows({{0, 0}, {1, 1}})});
  costs.readings.push_back({"other", 0, rows({{1, 1}, {0, 0}})});
  for (const double p : {0.6, 0.99, 1.0}) {
    const auto differ = readings_differ(costs, rows({{p, 1 - p}}));
    ASSERT_TRUE(differ.ok());
    EXPECT_EQ((*differ)[0], 1) << p;
  }
}

TEST(CostModel, EveryFaultIsNamed) {
  const auto message = [](const CostModel& costs) {
    const auto status = validate(costs, 2);
    return status.ok() ? std::string("fine") : status.error().text();
  };
  EXPECT_EQ(message(disputed()), "fine");
  CostModel bad = disputed();
  bad.readings[1].weight = 0.5;
  EXPECT_NE(message(bad).find("1 of 2 readings have a weight"), std::string::npos) << message(bad);
  bad = disputed();
  bad.readings[0].cost(0, 1) = INFINITY;
  EXPECT_NE(message(bad).find("reading 'careful'"), std::string::npos) << message(bad);
  bad = disputed();
  bad.actions[1] = "keep";
  EXPECT_NE(message(bad).find("'keep' is named twice"), std::string::npos) << message(bad);
  bad = disputed();
  bad.readings[1].cost.conservativeResize(2, 3);
  EXPECT_NE(message(bad).find("reading 'thrifty'"), std::string::npos) << message(bad);
  EXPECT_NE(message({{"a"}, {}}).find("readings"), std::string::npos);
}

data::Manifest manifest_with(const std::string& folder, const std::string& sections) {
  testing::write_file(folder + "/system.toml", "[system]\nname = \"s\"\n\n" + sections);
  auto manifest = data::read_manifest(folder + "/system.toml");
  EXPECT_TRUE(manifest.ok()) << manifest.error().text();
  return manifest.ok() ? *manifest : data::Manifest{};
}

TEST(ReadCosts, SectionsBecomeReadings) {
  testing::TempFolder folder;
  testing::write_file(folder.file("one.csv"), "action,cat,dog\nkeep,0,4\ndrop,1,0\n");
  testing::write_file(folder.file("two.csv"), "dog,action,cat\n1,keep,0\n0,drop,1\n");
  const auto manifest = manifest_with(folder.path(),
                                      "[reward.careful]\nkind = \"costs\"\npath = \"one.csv\"\nprior = 2\n"
                                      "[reward.thrifty]\nkind = \"costs\"\npath = \"two.csv\"\nprior = 1\n"
                                      "[reward.other]\nkind = \"costs\"\npath = \"two.csv\"\nmodels = [\"another\"]\n");
  const std::vector<std::string> classes = {"cat", "dog"};
  const auto costs = read_costs(manifest, "reader", classes);
  ASSERT_TRUE(costs.ok()) << costs.error().text();
  ASSERT_EQ(costs->readings.size(), 2U);
  EXPECT_EQ(costs->actions, (std::vector<std::string>{"keep", "drop"}));
  EXPECT_EQ(costs->readings[0].cost, rows({{0, 4}, {1, 0}}));
  EXPECT_EQ(costs->readings[1].cost, rows({{0, 1}, {1, 0}}));
  EXPECT_TRUE(costs->weighted());
  EXPECT_EQ(cost_sections(manifest, "another").size(), 3U);
}

TEST(ReadCosts, FaultsNameSectionAndFile) {
  testing::TempFolder folder;
  const std::vector<std::string> classes = {"cat", "dog"};
  const auto message = [&](const std::string& csv, const std::string& more = "") {
    testing::write_file(folder.file("costs.csv"), csv);
    const auto manifest = manifest_with(folder.path(), "[reward.r]\nkind = \"costs\"\npath = \"costs.csv\"\n" + more);
    const auto costs = read_costs(manifest, "reader", classes);
    return costs.ok() ? std::string("fine") : costs.error().text();
  };
  EXPECT_EQ(message("action,cat,dog\nkeep,0,1\n"), "fine");
  EXPECT_NE(message("action,cat,cow\nkeep,0,1\n").find("dog"), std::string::npos);
  EXPECT_NE(message("action,cat,dog,cow\nkeep,0,1,2\n").find("column 'cow' is for no class"), std::string::npos);
  EXPECT_NE(message("action,cat,dog\nkeep,0,\n").find("the cost of action 'keep' for class 'dog'"), std::string::npos);
  EXPECT_NE(message("action,cat,dog\nkeep,0,x\n").find("[reward.r]"), std::string::npos);
  EXPECT_NE(message("action,cat,dog\nkeep,0,1\n", "prior = -1\n").find("prior is -1"), std::string::npos);
  EXPECT_NE(message("cat,dog\n0,1\n").find("action"), std::string::npos);
}

}  // namespace
}  // namespace plumbline::caution
