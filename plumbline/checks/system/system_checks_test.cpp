#include "plumbline/checks/system/system_checks.hpp"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/system/systems.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/system/ranker_and_fonts.hpp"
#include "plumbline/system/simulated.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::system {
namespace {

using ::testing::Contains;
using testing::find;
using ::testing::HasSubstr;
using testing::TempFolder;
namespace sys = plumbline::system;

using Where = std::map<std::string, std::string>;
Where at(const std::string& part) { return {{"data", "traces"}, {"part", part}}; }

struct Folder {
  TempFolder folder;
  Folder(const data::Table& trace, const std::string& sections) {
    EXPECT_TRUE(data::write_csv(folder.file("trace.csv"), trace).ok());
    testing::write_file(folder.file("system.toml"), "[system]\nname = \"x\"\nseed = 3\n\n" + sections);
  }
  std::string error(check::Entry entry) const {
    const auto output = testing::run_check(std::move(entry), folder.path());
    return output.ok() ? "no error" : output.error().text();
  }
};

Folder teams() {
  base::Rng rng(7);
  return {sys::run_ranker_and_fonts({}, rng).trace,
          component_sections(
              sys::ranker_components(), "time", "session",
              {{"ranker", "explored = \"explored\"\npropensity = \"propensity\"\nexposure = \"noticed\"\n"}})};
}

TEST(ExplorationCancelledCheck, NamesThePartAndWhatItTellsBy) {
  const Folder f = teams();
  const auto output = testing::run_check(exploration_cancelled(), f.folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_NE(find(*output, "kept", at("all")), nullptr);
  EXPECT_LT(*find(*output, "kept", at("all"))->estimate.high(), 0.25);
  EXPECT_LT(*find(*output, "kept", at("fonts"))->estimate.high(), 0.25);
  EXPECT_EQ(find(*output, "kept", at("exposure"))->estimate.value, find(*output, "kept", at("all"))->estimate.value);
  EXPECT_LT(*find(*output, "effective_rate", at("all"))->estimate.high(), 0.06);
  EXPECT_NEAR(find(*output, "explored_share", at("all"))->estimate.value, 0.2, 0.02);
  EXPECT_LE(*find(*output, "claimed_gap", at("all"))->estimate.low(), 0);
  EXPECT_EQ(find(*output, "kept", at("all"))->estimate.unit_of_sampling, "unit");
  ASSERT_EQ(output->findings.size(), 2U);
  EXPECT_EQ(output->findings[0].title, "fonts sets apart what ranker tries by lot");
  EXPECT_THAT(output->findings[0].next_step, HasSubstr("Take from fonts what gives the lot away (looks)"));
  EXPECT_EQ(output->artifacts[1].kind, "network");
}

TEST(ObjectiveConflictCheck, TwoTeamsThatHelpEachOther) {
  const Folder f = teams();
  const auto output = testing::run_check(objective_conflict(), f.folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  const check::Evidence* pull = find(*output, "pull", {{"data", "traces"}, {"part", "all"}, {"on", "all"}});
  ASSERT_NE(pull, nullptr);
  EXPECT_GT(pull->estimate.value, 0);
}

TEST(FeedbackLoopCheck, PlantedGainReturnAndRobustness) {
  base::Rng rng(5);
  const sys::LinearSystem s = sys::random_linear({.parts = 4, .gain = 0.7}, rng);
  const Folder f(sys::simulate(s, 60, 30, rng),
                 component_sections(s.components, "time", "unit", {{"part0", "explored = \"lot_part0\"\n"}}));
  const auto output = testing::run_check(feedback_loop(), f.folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  const auto holds = [&](const std::string& metric, const std::string& part, double truth) {
    const check::Evidence* e = find(*output, metric, at(part));
    ASSERT_NE(e, nullptr) << metric;
    EXPECT_LE(*e->estimate.low(0.99), truth) << metric;
    EXPECT_GE(*e->estimate.high(0.99), truth) << metric;
  };
  holds("gain", "part0", 0.7);
  holds("return_graph", "part0", 0.7);
  holds("return_lot", "part0", 0.7);
  holds("radius", "all", sys::spectral_radius(s.running()));
  EXPECT_GE(find(*output, "loops", at("all"))->estimate.value, 1);
  EXPECT_GT(find(*output, "disagreement_p", at("all"))->estimate.value, 0.001);
  EXPECT_GT(find(*output, "robustness", at("part0"))->estimate.value, 0.1);
  EXPECT_GT(*find(*output, "made_share", at("part0"))->estimate.low(), 0);
  ASSERT_FALSE(output->findings.empty());
  EXPECT_THAT(output->findings[0].title, HasSubstr("hears itself"));
}

TEST(FeedbackLoopCheck, WithoutALoopTheGainIsZeroExactly) {
  base::Rng rng(5);
  sys::LinearSystem s = sys::random_linear({.parts = 2, .gain = 0}, rng);
  s.components[0].learns_from = {"season"};
  const Folder f(sys::simulate(s, 30, 10, rng), component_sections(s.components, "time", "unit", {}));
  const auto output = testing::run_check(feedback_loop(), f.folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  const check::Evidence* gain = find(*output, "gain", at("all"));
  ASSERT_NE(gain, nullptr);
  EXPECT_EQ(gain->estimate.value, 0);
  EXPECT_EQ(gain->estimate.exactness, stats::Exactness::kExact);
  EXPECT_EQ(find(*output, "made_share", at("all"))->estimate.value, 0);
}

TEST(SystemChecks, SayWhatIsMissingOrWrong) {
  base::Rng rng(5);
  const data::Table trace = sys::simulate(sys::random_discrete(2, 0, 0.2, rng), 100, rng);
  const std::string two =
      "[component.a]\noutputs = [\"y0\"]\ntrace = \"trace.csv\"\nexplored = \"lot\"\n[component.b]\ninputs = "
      "[\"y0\"]\noutputs = [\"y1\"]\nobjective = \"y1\"\n";
  EXPECT_THAT(Folder(trace, "[component.a]\noutputs = [\"y0\"]\nexplored = \"lot\"\n").error(exploration_cancelled()),
              HasSubstr("there is no trace"));
  EXPECT_THAT(Folder(trace, two + "trace = \"trace.csv\"\ntime = \"time\"\n").error(exploration_cancelled()),
              HasSubstr("names other columns for time or unit"));
  EXPECT_THAT(Folder(trace, two + "trace = \"gone.csv\"\n").error(exploration_cancelled()), HasSubstr("gone.csv"));
  EXPECT_THAT(Folder(trace, "[component.a]\noutputs = [\"y9\"]\ntrace = \"trace.csv\"\nexplored = \"lot\"\n")
                  .error(exploration_cancelled()),
              HasSubstr("there is no column 'y9'"));
  EXPECT_THAT(Folder(trace, "[component.a]\noutputs = [\"y0\"]\ntrace = \"trace.csv\"\npropensity = \"time\"\n")
                  .error(exploration_cancelled()),
              HasSubstr("explored is not named"));
  EXPECT_THAT(Folder(trace,
                     "[component.a]\ninputs = [\"y1\"]\noutputs = [\"y0\"]\ntrace = \"trace.csv\"\nlearns_from = "
                     "[\"y1\"]\n[component.b]\ninputs = "
                     "[\"y0\"]\noutputs = [\"y1\"]\n")
                  .error(feedback_loop()),
              HasSubstr("in a circle: a -> b -> a"));
}

TEST(DecisionLogCheck, RowsWithoutProbabilitiesLeaveTheOthersAlone) {
  const TempFolder folder;
  std::string log;
  base::Rng rng(8);
  for (int i = 0; i < 400; ++i) {
    const bool late = i % 50 == 0;
    const bool a = rng.bernoulli(0.5);  // and 0.8 is claimed
    log += "{\"id\":\"" + std::to_string(i) + "\",\"policy\":\"" + (i < 300 ? "v1" : "v2") + "\"," +
           (late ? "\"kind\":\"fall_back\",\"cause\":\"timeout\",\"final\":\"b\"}\n"
                 : std::string("\"actions\":[\"a\",\"b\"],\"probabilities\":[0.8,0.2],\"action\":\"") +
                       (a ? "a" : "b") + "\",\"propensity\":" + (a ? "0.8" : "0.2") + "}\n");
  }
  testing::write_file(folder.file("log.jsonl"), log);
  const std::string manifest = "[system]\nname = \"x\"\nseed = 3\n\n[log.clicks]\npath = \"log.jsonl\"\n";
  testing::write_file(folder.file("system.toml"), manifest);
  const std::map<std::string, std::string> where = {{"data", "clicks"}};
  auto output = testing::run_check(decision_log(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_THAT(output->rows, HasSubstr("400 decisions, 392 with"));
  EXPECT_LT(find(*output, "draw_p", where)->estimate.value, 1e-6);
  EXPECT_LT(*find(*output, "sharpness", where)->estimate.high(), 0.5);
  EXPECT_DOUBLE_EQ(find(*output, "undeclared_share", where)->estimate.value, 0.25);
  EXPECT_DOUBLE_EQ(find(*output, "timeout_share", where)->estimate.value, 0.02);
  ASSERT_EQ(output->findings.size(), 2U);
  EXPECT_THAT(output->findings[0].title, HasSubstr("not drawn with the logged probabilities"));
  EXPECT_THAT(output->findings[1].detail, HasSubstr("v1, v2"));
  testing::write_file(folder.file("system.toml"),
                      manifest + "[check.\"system.decision_log\"]\npolicies = [\"v1\", \"v2\"]\n");
  output = testing::run_check(decision_log(), folder.path());
  EXPECT_EQ(find(*output, "undeclared_share", where)->estimate.value, 0);
}

TEST(SystemChecksStatistical, FixturesComeOutRight) {
  constexpr int kRuns = 30;
  for (check::Entry entry : {decision_log(), exploration_cancelled(), feedback_loop(), objective_conflict()}) {
    const verify::VerifyCount count = testing::count_fixtures(entry, kRuns);
    EXPECT_GE(count.detected, kRuns - 3) << entry.info.id;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_LE(count.abstentions, 5) << entry.info.id;
  }
}

}  // namespace
}  // namespace plumbline::checks::system
