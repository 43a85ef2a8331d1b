#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/system/system_checks.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/system/simulated_ledger.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::system {
namespace {

using ::testing::Contains;
using testing::find;
using ::testing::HasSubstr;
using testing::TempFolder;
namespace sys = plumbline::system;

const std::string kHead = "[system]\nname = \"x\"\nseed = 3\n\n";

struct Folder {
  std::shared_ptr<TempFolder> own = std::make_shared<TempFolder>();
  TempFolder& folder = *own;
  explicit Folder(const std::string& sections) { testing::write_file(folder.file("system.toml"), kHead + sections); }
  base::Result<check::Output> run() const { return testing::run_check(trend(), folder.path()); }
  std::string error() const {
    const auto output = run();
    return output.ok() ? "no error" : output.error().text();
  }
};

Folder ledger(const sys::LedgerWorld& world, const std::string& keys, bool effort = false) {
  Folder f("[incidents.field]\npath = \"ledger.csv\"\n" + keys);
  base::Rng rng(5);
  EXPECT_TRUE(data::write_csv(f.folder.file("ledger.csv"), sys::simulate_ledger(world, rng)).ok());
  if (effort) {
    EXPECT_TRUE(data::write_csv(f.folder.file("use.csv"), sys::simulated_effort(world)).ok());
  }
  return f;
}

const std::string kKinds = "about = [\"hacking\"]\ncontrol = [\"outage\"]\nperiod = 28\n";

TEST(TrendCheck, GrowthIsFoundAtItsTime) {
  const Folder f = ledger({.growth = 3, .reporting = 2}, kKinds + "use = \"use.csv\"\n", true);
  const auto output = f.run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  for (const char* by : {"control", "effort", "corrected"}) {
    const check::Evidence* growth = find(*output, "growth", {{"data", "field"}, {"by", by}});
    ASSERT_NE(growth, nullptr) << by;
    EXPECT_LT(*growth->estimate.low(), 3) << by;
    EXPECT_GT(*growth->estimate.high(), 3) << by;
    EXPECT_GT(*growth->estimate.low(), 1.8) << by;
    EXPECT_LE(find(*output, "growth_p", {{"data", "field"}, {"by", by}})->estimate.value, 0.05);
  }
  EXPECT_GT(find(*output, "growth", {{"data", "field"}, {"by", "reports"}})->estimate.value, 3.3);
  EXPECT_NEAR(find(*output, "reporting", {{"data", "field"}})->estimate.value, 1.4, 0.25);
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_THAT(output->findings[0].title, HasSubstr("more of it since 2024-12-30"));
  EXPECT_EQ(output->artifacts[0].facts.count("changes"), 1U);
}

TEST(TrendCheck, MoreReportingIsNoGrowth) {
  const auto output = ledger({.reporting = 3}, kKinds).run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  const auto* growth = find(*output, "growth", {{"data", "field"}, {"by", "corrected"}});
  EXPECT_LT(*growth->estimate.low(), 1);
  EXPECT_LT(*growth->estimate.high(), 1.5);
  EXPECT_GT(*find(*output, "growth", {{"data", "field"}, {"by", "reports"}})->estimate.low(), 1.3);
  EXPECT_TRUE(output->findings.empty());
}

TEST(TrendCheck, CannotSayWithoutCorrection) {
  const auto output = ledger({.growth = 3}, "about = [\"hacking\"]\n").run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_EQ(find(*output, "growth", {{"data", "field"}, {"by", "corrected"}}), nullptr);
  EXPECT_NE(find(*output, "growth", {{"data", "field"}, {"by", "reports"}}), nullptr);
  EXPECT_THAT(output->notes, Contains(HasSubstr("growth cannot be said")));
}

std::string series_csv() {
  std::string csv = "time,value,error,n\n";
  for (int i = 0; i < 12; ++i)
    csv += fmt::format("2025-{:02}-01,{},0.5,{}\n", i + 1, (i < 7 ? 3 : 6) + (i % 3 - 1) * 0.4, 10 + i);
  return csv;
}

TEST(TrendCheck, SeriesOfFigures) {
  Folder f("[trend.hacks]\npath = \"hacks.csv\"\nerror = \"error\"\nsince = \"2025-08-01\"\n");
  testing::write_file(f.folder.file("hacks.csv"), series_csv());
  const auto output = f.run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_NEAR(find(*output, "rise", {{"data", "hacks"}})->estimate.value, 3, 0.3);
  EXPECT_EQ(find(*output, "steps", {{"data", "hacks"}})->estimate.value, 1);
  EXPECT_LE(find(*output, "rise_p", {{"data", "hacks"}})->estimate.value, 0.05);
  ASSERT_EQ(output->findings.size(), 1U);
  EXPECT_EQ(output->findings[0].title, "hacks changed at 2025-08-01");
  EXPECT_EQ(output->artifacts[0].facts.at("changes_at"), "2025-08-01");
  EXPECT_EQ(output->artifacts[0].facts.at("x_label"), "years from 2025-01-01");
}

TEST(TrendCheck, FewPointsAreNoAnswer) {
  Folder f("[trend.hacks]\npath = \"hacks.csv\"\n");
  testing::write_file(f.folder.file("hacks.csv"), "time,value\na,1\nb,2\nc,3\n");
  const auto output = f.run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_EQ(find(*output, "steps", {{"data", "hacks"}}), nullptr);
  EXPECT_THAT(output->notes, Contains(HasSubstr("too few")));
}

TEST(TrendCheck, BadInputIsNamed) {
  const auto series = [](const std::string& csv, const std::string& keys = "") {
    Folder f("[trend.hacks]\npath = \"hacks.csv\"\n" + keys);
    testing::write_file(f.folder.file("hacks.csv"), csv);
    return f.error();
  };
  EXPECT_THAT(series("time,value\na,1\nb,x\n"), HasSubstr("row 2"));
  EXPECT_THAT(series("time,wert\na,1\nb,2\n"), HasSubstr("'value'"));
  EXPECT_THAT(series("day,value\na,1\nb,2\n"), HasSubstr("'time'"));
  EXPECT_THAT(series("time,value\n2025-01-02,1\n2025-01-01,2\n"), HasSubstr("Sort"));
  EXPECT_THAT(series("time,value,e\na,1,1\nb,2,0\n", "error = \"e\"\n"), HasSubstr("scale[1]"));
  EXPECT_THAT(series("time,value,e\na,1,1\nb,2,1\n", "error = \"e\"\ntrials = \"e\"\n"), HasSubstr("only one"));
  EXPECT_THAT(series("time,value\na,1\nb,2\n", "since = \"z\"\n"), HasSubstr("one side"));
  EXPECT_THAT(series("time,value\na,1\n"), HasSubstr("two points"));
  EXPECT_THAT(ledger({}, "about = [\"hacking\"]\nsince = \"soon\"\n").error(), HasSubstr("no date"));
  EXPECT_THAT(ledger({}, "about = [\"hacking\"]\nperiod = 0\n").error(), HasSubstr("period"));
  EXPECT_THAT(ledger({}, "about = [\"hacking\"]\nkind = \"code\"\n").error(), HasSubstr("'code'"));
}

// Text of the ledger's author reaches messages and findings as text; the page escapes it (web tests).
TEST(TrendCheck, HostileNamesAreText) {
  Folder f("[trend.hacks]\npath = \"hacks.csv\"\n");
  std::string csv = "time,value\n";
  for (int i = 0; i < 12; ++i) csv += fmt::format("<script>{}</script>,{}\n", i, i < 6 ? i % 3 : 10 + i % 3);
  testing::write_file(f.folder.file("hacks.csv"), csv);
  const auto output = f.run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_THAT(output->findings.at(0).title, HasSubstr("<script>6</script>"));
}

TEST(TrendCheckStatistical, Fixtures) {
  const int runs = 12;
  const verify::VerifyCount counts = testing::count_fixtures(trend(), runs);
  EXPECT_GE(counts.detected, runs - 1);
  EXPECT_EQ(counts.false_alarms, 0);
  EXPECT_LE(counts.abstentions, 3);
}

}  // namespace
}  // namespace plumbline::checks::system
