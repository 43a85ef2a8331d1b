#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/checks/oversight/oversight_checks.hpp"
#include "plumbline/data/question_log.hpp"
#include "plumbline/oversight/simulated.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks::oversight {
namespace {

using testing::find;
using ::testing::HasSubstr;
namespace people = plumbline::oversight;
using Where = std::map<std::string, std::string>;

struct Desk {
  testing::TempFolder folder;
  explicit Desk(const people::SimulatedQueue& queue, const std::string& extra = {}) {
    base::Rng rng(3, {"desk"});
    EXPECT_TRUE(data::write_questions(folder.file("q.jsonl"), people::simulate_queue(queue, rng)).ok());
    testing::write_file(folder.file("system.toml"),
                        "[system]\nname = \"x\"\nseed = 3\n\n[questions.desk]\npath = \"q.jsonl\"\n" + extra);
  }
  base::Result<check::Output> run() const { return testing::run_check(oversight::queue(), folder.path()); }
};

people::SimulatedQueue desk() {
  return {.raters = {{.name = "ann"}, {.name = "bob"}, {.name = "worst", .nodding = 1}}, .hours = 6, .gold_every = 3};
}

std::string titles(const check::Output& output) {
  std::string all;
  for (const check::Finding& f : output.findings) all += f.title + "\n";
  return all;
}

TEST(QueueCheck, NamesWhoNodsAndWhatOverran) {
  people::SimulatedQueue queue = desk();
  queue.overrunning = 0.2;
  queue.arrivals = 0.6;
  queue.in_order = false;
  const auto output = Desk(queue).run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_GT(*find(*output, "overrun_share", Where{{"data", "desk"}})->estimate.low(), 0.1);
  EXPECT_EQ(find(*output, "accepts_wrong", Where{{"data", "desk"}, {"rater", "worst"}})->estimate.value, 1);
  EXPECT_LT(find(*output, "accepts_wrong", Where{{"data", "desk"}, {"rater", "ann"}})->estimate.value, 0.3);
  ASSERT_NE(find(*output, "gold_accuracy", Where{{"data", "desk"}, {"rater", "all"}}), nullptr);
  EXPECT_EQ(find(*output, "gold_accuracy", Where{{"data", "desk"}, {"rater", "worst"}})->estimate.method,
            "the least of 3 raters, bounds for all at once")
      << "a person who is called so is not the worst of all";
  const std::string said = titles(*output);
  for (const char* word : {"outlived their deadline", "worst accepts proposals that are wrong", "worthier question",
                           "More is asked than the people"})
    EXPECT_THAT(said, HasSubstr(word));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("ann accepts")));
  ASSERT_EQ(output->artifacts.size(), 3U);
  EXPECT_EQ(output->artifacts[0].kind, "bars");
}

TEST(QueueCheck, ACleanDeskHasNoFindings) {
  people::SimulatedQueue queue = desk();
  queue.raters[2].nodding = 0;
  queue.arrivals = 0.05;
  const auto output = Desk(queue).run();
  ASSERT_TRUE(output.ok()) << output.error().text();
  EXPECT_EQ(titles(*output), "");
  EXPECT_EQ(find(*output, "inversion_share", Where{{"data", "desk"}})->estimate.value, 0);
  EXPECT_LT(*find(*output, "utilisation", Where{{"data", "desk"}})->estimate.high(), 1);
}

TEST(QueueCheck, SaysWhatIsMissingOrWrong) {
  const Desk few(desk(), "[check.\"oversight.queue\"]\nleast_gold = 100000\n");
  const auto output = few.run();
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(find(*output, "gold_accuracy", Where{{"data", "desk"}, {"rater", "worst"}}), nullptr);
  EXPECT_THAT(output->notes, ::testing::Contains(HasSubstr("no rater answered 100000 gold questions")));
  testing::write_file(few.folder.file("q.jsonl"), "{}\n");
  EXPECT_THAT(few.run().error().text(), HasSubstr("q.jsonl:1"));
}

TEST(QueueCheckStatistical, FixturesComeOutRight) {
  constexpr int kRuns = 20;
  const verify::VerifyCount count = testing::count_fixtures(oversight::queue(), kRuns);
  EXPECT_GE(count.detected, kRuns - 1);
  EXPECT_EQ(count.false_alarms, 0);
  EXPECT_LE(count.abstentions, 2);
}

}  // namespace
}  // namespace plumbline::checks::oversight
