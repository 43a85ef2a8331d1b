#include "plumbline/counterfactual/policies.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/csv.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

data::DecisionLog small_log() {
  data::LogBuilder builder("x");
  const auto add = [&](double age, const std::string& city, int position, const std::string& action) {
    data::DecisionRecord r;
    r.context = {{"age", age}, {"city", city}};
    r.position = position;
    r.action = r.final_action = action;
    r.propensity = 0.5;
    r.reward = 1;
    EXPECT_TRUE(builder.add(r, "x").ok());
  };
  add(1, "A", 1, "l");
  add(2, "B", 2, "r");
  add(-1, "B", 1, "l");
  return std::move(builder.take()).value();
}

std::vector<double> at(const TargetPolicy& policy, const data::DecisionLog& log, std::size_t row) {
  std::vector<int> every;
  const auto available = log.available(row, every);
  std::vector<double> out(available.size());
  policy.probabilities(row, available, out);
  return out;
}

base::Result<TargetPtr> from_file(const std::string& rule, const std::string& csv, const data::DecisionLog& log,
                                  double temperature = 0, double epsilon = 0) {
  TempFolder folder;
  testing::write_file(folder.file("p.csv"), csv);
  PolicySpec spec;
  spec.rule = rule;
  spec.path = folder.file("p.csv");
  spec.temperature = temperature;
  spec.epsilon = epsilon;
  return make_policy(spec, log);
}

TEST(Policies, TablesByContextAndPosition) {
  const data::DecisionLog log = small_log();
  const auto by_city = from_file("table", "city,action,probability\nA,l,0.25\nA,r,0.75\nB,l,1\n", log);
  ASSERT_TRUE(by_city.ok()) << by_city.error().text();
  EXPECT_EQ(at(**by_city, log, 0), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(at(**by_city, log, 1), (std::vector<double>{1, 0}));
  const auto by_position =
      from_file("table", "position,action,probability\n1,l,1\n2,l,0.5\n2,other,0.5\n", log, 0, 0.2);
  ASSERT_TRUE(by_position.ok()) << by_position.error().text();
  EXPECT_NEAR(at(**by_position, log, 1)[0], 0.8 * 0.5 + 0.1, 1e-12) << "half of its mass is on an unknown action";
  EXPECT_NEAR(at(**by_position, log, 1)[1], 0.1, 1e-12);
}

TEST(Policies, LinearScores) {
  const data::DecisionLog log = small_log();
  const std::string csv = "feature,l,r\n(intercept),0.5,0\nage,1,-1\ncity=B,0,3\ncity=Z,9,9\n";
  const auto greedy = from_file("linear", csv, log);
  ASSERT_TRUE(greedy.ok()) << greedy.error().text();
  EXPECT_EQ(at(**greedy, log, 0), (std::vector<double>{1, 0}));
  EXPECT_EQ(at(**greedy, log, 2), (std::vector<double>{0, 1}));
  const auto soft = from_file("linear", csv, log, 2);
  // Row 0: scores 1.5 and -1.
  EXPECT_NEAR(at(**soft, log, 0)[0], 1 / (1 + std::exp(-1.25)), 1e-12);
  const auto tied = from_file("linear", "feature,l,r\n(intercept),1,1\n", log);
  EXPECT_EQ(at(**tied, log, 0), (std::vector<double>{0.5, 0.5}));
}

TEST(Policies, SayWhatIsWrong) {
  const data::DecisionLog log = small_log();
  const auto says = [](const auto& made) { return made.ok() ? std::string("accepted") : made.error().text(); };
  EXPECT_THAT(says(parse_policy("best")), HasSubstr("expected uniform, logged, fixed:ACTION"));
  EXPECT_THAT(says(parse_policy("fixed")), HasSubstr("'fixed' is no policy"));
  EXPECT_THAT(says(parse_policy("uniform:x")), HasSubstr("is no policy"));
  EXPECT_THAT(says(make_policy(*parse_policy("fixed:left"), log)), HasSubstr("action 'left' is not in the log"));
  EXPECT_THAT(says(make_policy(*parse_policy("logged"), log)), HasSubstr("does not hold the probabilities"));
  EXPECT_THAT(says(make_policy(*parse_policy("table:/nowhere.csv"), log)), HasSubstr("/nowhere.csv"));
  PolicySpec spec;
  spec.rule = "uniform";
  spec.epsilon = 2;
  EXPECT_THAT(says(make_policy(spec, log)), HasSubstr("epsilon is 2"));
  EXPECT_THAT(says(from_file("table", "action,p\nl,1\n", log)), HasSubstr("columns action and probability"));
  EXPECT_THAT(says(from_file("table", "action,probability\nl,0.5\n", log)), HasSubstr("sum to 0.5"));
  EXPECT_THAT(says(from_file("table", "action,probability\nl,-1\nr,2\n", log)), HasSubstr("probability is -1"));
  EXPECT_THAT(says(from_file("table", "action,probability\nl,0.5\nl,0.5\n", log)), HasSubstr("appears twice"));
  EXPECT_THAT(says(from_file("table", "citty,action,probability\nA,l,1\n", log)), HasSubstr("did you mean 'city'?"));
  EXPECT_THAT(says(from_file("table", "city,action,probability\nA,l,1\n", log)),
              HasSubstr("has no row for city = B, which decision 2 needs"));
  EXPECT_THAT(says(from_file("linear", "feature,l\nage,1\n", log)), HasSubstr("no column for action 'r'"));
  EXPECT_THAT(says(from_file("linear", "feature,l,r\ncity,1,1\n", log)), HasSubstr("one row a level"));
  EXPECT_THAT(says(from_file("linear", "feature,l,r\nagge,1,1\n", log)), HasSubstr("did you mean 'age'?"));
  EXPECT_THAT(says(from_file("linear", "feature,l,r\nage,1,1\n", log, -1)), HasSubstr("temperature is -1"));
}

}  // namespace
}  // namespace plumbline::counterfactual
