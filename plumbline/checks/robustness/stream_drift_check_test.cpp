#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/data/npy.hpp"
#include "tests/support/bandits.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks {

check::Entry stream_drift();

namespace {

using ::testing::HasSubstr;

TEST(StreamDriftCheck, DefectsAreRefutedAndControlsAreNot) {
  const verify::VerifyCount count = testing::count_fixtures(stream_drift(), 20);
  EXPECT_EQ(count.detected, 20) << count.example_problem;
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_EQ(count.abstentions, 0) << count.example_problem;
}

TEST(StreamDriftCheck, SaysWhenAndWhichColumns) {
  testing::TempFolder folder;
  base::Rng rng(5, {"written"});
  ASSERT_TRUE(stream_drift().fixtures.defect(folder.path(), rng).ok());
  const auto output = testing::run_check(stream_drift(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_EQ(output->findings.size(), 1U);
  const check::Finding& finding = output->findings[0];
  EXPECT_THAT(finding.title, HasSubstr("'test' changed at about row"));
  EXPECT_THAT(finding.detail, HasSubstr("column 1"));
  EXPECT_THAT(finding.detail, ::testing::Not(HasSubstr("column 3")));
  ASSERT_EQ(finding.rows.size(), 1U);
  EXPECT_GE(finding.rows[0], 200U);
  EXPECT_LT(finding.rows[0], 300U);
  for (const char* detector : {"bets", "cusum"}) {
    const auto* alarms = testing::find(*output, "alarms", {{"data", "test"}, {"detector", detector}});
    ASSERT_NE(alarms, nullptr);
    EXPECT_GE(alarms->estimate.value, 1) << detector;
    const auto* found = testing::find(*output, "found", {{"data", "test"}, {"detector", detector}});
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->estimate.value, 1) << detector;
    const auto* delay = testing::find(*output, "delay", {{"data", "test"}, {"detector", detector}});
    ASSERT_NE(delay, nullptr);
    EXPECT_LT(delay->estimate.value, 60) << detector;
  }
  std::vector<std::string> artifacts;
  for (const check::Artifact& a : output->artifacts) artifacts.push_back(a.id);
  EXPECT_THAT(artifacts, ::testing::ElementsAre(HasSubstr("evidence"), HasSubstr("restarted"), HasSubstr("columns"),
                                                HasSubstr("alarms")));
}

std::string refusal(const std::string& manifest, const testing::TempFolder& folder) {
  testing::write_file(folder.file("system.toml"), "[system]\nname = \"x\"\n" + manifest);
  const auto read = data::read_manifest(folder.file("system.toml"));
  if (!read.ok()) return read.error().text();
  const auto blueprint = run::make_blueprint(*read, true);
  if (!blueprint.ok()) return blueprint.error().text();
  return stream_drift().plan(*blueprint, check::resolve_params(stream_drift().info, {}).value()).not_applicable;
}

TEST(StreamDriftCheck, SaysWhatIsMissing) {
  testing::TempFolder folder;
  testing::write_file(folder.file("a.csv"), "x\n1\n2\n3\n");
  EXPECT_THAT(refusal("[data.test]\ntable = \"a.csv\"\n", folder),
              ::testing::AllOf(HasSubstr("no data set has the role train"), HasSubstr("no [log.NAME]")));
  EXPECT_THAT(refusal("[data.train]\ntable = \"a.csv\"\n", folder), HasSubstr("no set of role test"));
  EXPECT_EQ(refusal("[data.train]\ntable = \"a.csv\"\n[data.test]\ntable = \"a.csv\"\n", folder), "");
}

/// Decisions whose rewards fall after two thirds; the actions stay as likely.
TEST(StreamDriftCheck, ALogIsWatchedAgainstItsBeginning) {
  for (const bool falls : {false, true}) {
    testing::TempFolder folder;
    base::Rng rng(6, {"log"});
    std::string lines;
    for (int i = 0; i < 900; ++i) {
      const bool good = rng.bernoulli(falls && i >= 600 ? 0.4 : 0.8);
      lines += "{\"id\":\"d" + std::to_string(i) + "\",\"time\":" + std::to_string(i) +
               ",\"context\":{\"x\":" + std::to_string(rng.normal()) + ",\"session\":\"s" + std::to_string(i) +
               "\",\"shop\":\"" + (rng.bernoulli(0.5) ? "a" : "b") + "\"},\"action\":\"" +
               (rng.bernoulli(0.5) ? "p" : "q") + "\",\"propensity\":0.5,\"reward\":" + (good ? "1" : "0") + "}\n";
    }
    testing::write_file(folder.file("log.jsonl"), lines);
    testing::write_file(folder.file("system.toml"),
                        "[system]\nname = \"x\"\n[log.clicks]\npath = \"log.jsonl\"\n"
                        "[check.\"robustness.stream_drift\"]\nrehearsals = 3\nrun_length = 2000\n");
    const auto output = testing::run_check(stream_drift(), folder.path());
    ASSERT_TRUE(output.ok()) << output.error().text();
    const auto* p = testing::find(*output, "p_value", {{"data", "clicks"}});
    ASSERT_NE(p, nullptr);
    if (!falls) {
      EXPECT_GT(p->estimate.value, 0.01);
      EXPECT_TRUE(output->findings.empty());
      continue;
    }
    EXPECT_LT(p->estimate.value, 0.001);
    ASSERT_EQ(output->findings.size(), 1U);
    EXPECT_THAT(output->findings[0].detail, HasSubstr("reward"));
    EXPECT_GE(output->findings[0].rows.at(0), 600U);
    EXPECT_THAT(output->rows, HasSubstr("the first 270 of 900 decisions"));
  }
}

TEST(StreamDriftCheck, TooShortALogIsSaid) {
  testing::TempFolder folder;
  testing::write_file(folder.file("log.jsonl"), "{\"id\":\"a\",\"action\":\"p\"}\n{\"id\":\"b\",\"action\":\"p\"}\n");
  testing::write_file(folder.file("system.toml"), "[system]\nname = \"x\"\n[log.clicks]\npath = \"log.jsonl\"\n");
  const auto output = testing::run_check(stream_drift(), folder.path());
  ASSERT_FALSE(output.ok());
  EXPECT_THAT(output.error().text(), HasSubstr("too few to be a reference"));
}

/// 80 columns of which three move: found through components; the same set unmoved stays quiet.
TEST(StreamDriftCheck, ManyColumnsAreWatchedThroughComponents) {
  for (const bool moves : {false, true}) {
    testing::TempFolder folder;
    base::Rng rng(9, {"wide"});
    for (const char* name : {"train", "test"}) {
      const bool stream = std::string_view(name) == "test";
      MatrixF rows(400, 80);
      for (std::ptrdiff_t i = 0; i < rows.rows(); ++i)
        for (std::ptrdiff_t j = 0; j < rows.cols(); ++j)
          rows(i, j) =
              static_cast<float>((j < 3 ? 3 : 1) * rng.normal() + (moves && stream && i >= 150 && j < 3 ? 3 : 0));
      ASSERT_TRUE(data::write_npy(folder.file(std::string(name) + ".npy"), rows).ok());
    }
    testing::write_file(folder.file("system.toml"),
                        "[system]\nname = \"x\"\n[data.train]\nmatrix = \"train.npy\"\n[data.test]\nmatrix = "
                        "\"test.npy\"\n[check.\"robustness.stream_drift\"]\nrehearsals = 0\n");
    const auto output = testing::run_check(stream_drift(), folder.path());
    ASSERT_TRUE(output.ok()) << output.error().text();
    EXPECT_EQ(output->findings.size(), moves ? 1U : 0U);
    EXPECT_THAT(::testing::PrintToString(output->notes), HasSubstr("80 columns are watched through 32 principal"));
  }
}

/// The electricity market of elec2: Victoria's figures begin to move where its market opens.
TEST(StreamDriftCheck, ElectricityMarketOpens) {
  PL_NEEDS_DATA(path, "tabular/elec2.csv");
  testing::TempFolder folder;
  const std::string text = testing::read_file(path);
  const auto line_end = [&](int lines) {
    std::size_t at = 0;
    for (int line = 0; line < lines; ++line) at = text.find('\n', at) + 1;
    return at;
  };
  const std::string header = text.substr(0, text.find('\n') + 1);
  const std::size_t first = line_end(3001), last = line_end(20'001);
  testing::write_file(folder.file("early.csv"), text.substr(0, first));
  testing::write_file(folder.file("late.csv"), header + text.substr(first, last - first));
  testing::write_file(
      folder.file("system.toml"),
      "[system]\nname = \"market\"\n[data.train]\ntable = \"early.csv\"\ndrop = [\"period\", \"class\", "
      "\"nswprice\", \"nswdemand\"]\n[data.test]\ntable = \"late.csv\"\ndrop = "
      "[\"period\", \"class\", \"nswprice\", \"nswdemand\"]\n"
      "[check.\"robustness.stream_drift\"]\nrehearsals = 0\nrun_length = 100000\n");
  const auto output = testing::run_check(stream_drift(), folder.path());
  ASSERT_TRUE(output.ok()) << output.error().text();
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_THAT(output->findings[0].detail, HasSubstr("vicprice"));
}

}  // namespace
}  // namespace plumbline::checks
