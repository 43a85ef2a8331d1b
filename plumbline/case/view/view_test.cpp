#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/view/compare.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::view {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

check::Evidence figure(const std::string& metric, double value, const std::string& slice = "") {
  check::Evidence e;
  e.check = "probe.accuracy";
  e.subject = "reader@test";
  e.metric = metric;
  e.where = {{"data", "test"}};
  if (!slice.empty()) e.where["slice"] = slice;
  e.estimate.value = value;
  e.id = check::evidence_id(e);
  return e;
}

claims::ClaimVerdict claim(const std::string& id, claims::Verdict verdict) {
  claims::ClaimVerdict out;
  out.id = id;
  out.text = "text of " + id;
  out.verdict = verdict;
  return out;
}

StoredRun run_of(const std::string& id, std::vector<check::Evidence> evidence,
                 std::vector<claims::ClaimVerdict> verdicts = {}) {
  StoredRun run;
  run.report.run.id = id;
  run.report.run.evidence = std::move(evidence);
  run.report.claims = std::move(verdicts);
  return run;
}

TEST(Compare, EveryKindOfChangeOnce) {
  using claims::Verdict;
  const StoredRun first = run_of(
      "a", {figure("gone", 1), figure("moved", 1), figure("kept", 1), figure("kept", 2, "left")},
      {claim("same", Verdict::kSupported), claim("worse", Verdict::kSupported), claim("dropped", Verdict::kRefuted)});
  const StoredRun second =
      run_of("b", {figure("kept", 1), figure("moved", 2), figure("kept", 2, "left"), figure("new", 1)},
             {claim("same", Verdict::kSupported), claim("worse", Verdict::kUndetermined),
              claim("fresh", Verdict::kNotEvaluated)});
  const Comparison c = compare(first, second);
  EXPECT_EQ(c.same, 2U);
  ASSERT_EQ(c.figures.size(), 3U);
  std::vector<std::string> words;
  for (const FigureChange& f : c.figures) {
    words.push_back(std::string(change_name(f.change)) + " " + f.what);
    EXPECT_EQ(f.before.has_value(), f.change != Change::kAdded);
    EXPECT_EQ(f.after.has_value(), f.change != Change::kRemoved);
  }
  EXPECT_THAT(words, ElementsAre("removed probe.accuracy reader@test gone data=test",
                                 "changed probe.accuracy reader@test moved data=test",
                                 "added probe.accuracy reader@test new data=test"));
  ASSERT_EQ(c.claims.size(), 3U);
  EXPECT_EQ(c.claims[0].id, "dropped");
  EXPECT_FALSE(c.claims[0].after.has_value());
  EXPECT_EQ(c.claims[1].id, "fresh");
  EXPECT_FALSE(c.claims[1].before.has_value());
  EXPECT_EQ(c.claims[1].text, "text of fresh");
  EXPECT_EQ(c.claims[2].id, "worse");
  EXPECT_EQ(c.claims[2].after, claims::Standing::kUndetermined);
  EXPECT_TRUE(c.differs());
  EXPECT_THAT(c.not_compared, IsEmpty());
  EXPECT_FALSE(compare(first, first).differs());
  EXPECT_EQ(compare(first, first).same, 4U);
}

// Backwards, what was added is what was removed.
TEST(Compare, TurnedRoundItSaysTheOpposite) {
  const StoredRun a = run_of("a", {figure("x", 1), figure("y", 1)}, {claim("c", claims::Verdict::kRefuted)});
  const StoredRun b = run_of("b", {figure("y", 3), figure("z", 1)}, {claim("c", claims::Verdict::kSupported)});
  const Comparison there = compare(a, b);
  const Comparison back = compare(b, a);
  ASSERT_EQ(there.figures.size(), back.figures.size());
  EXPECT_EQ(there.same, back.same);
  for (const FigureChange& f : there.figures) {
    bool met = false;
    for (const FigureChange& g : back.figures) {
      if (g.what != f.what) continue;
      met = true;
      EXPECT_EQ(f.before.has_value(), g.after.has_value());
      EXPECT_EQ(f.change == Change::kAdded, g.change == Change::kRemoved);
    }
    EXPECT_TRUE(met) << f.what;
  }
  EXPECT_EQ(there.claims.at(0).before, back.claims.at(0).after);
}

// A run that could not be judged has no verdicts; that is no change of a verdict.
TEST(Compare, WithoutVerdictsItSaysThatNoneWereCompared) {
  const StoredRun a = run_of("a", {figure("x", 1)}, {claim("c", claims::Verdict::kRefuted)});
  StoredRun b = run_of("b", {figure("x", 1)});
  b.not_judged = base::make_error(base::Code::kIo, "cannot be read", "system.toml");
  const Comparison c = compare(a, b);
  EXPECT_THAT(c.claims, IsEmpty());
  ASSERT_EQ(c.not_compared.size(), 1U);
  EXPECT_THAT(c.not_compared[0], HasSubstr("run b: "));
  EXPECT_FALSE(c.differs());
}

TEST(EvidenceOf, TakesTheFigureOfTheSameTaskAndPlace) {
  const StoredRun run = run_of("a", {figure("other", 1), figure("first", 1, "right"), figure("second", 1, "left")});
  check::Finding finding;
  finding.check = "probe.accuracy";
  finding.subject = "reader@test";
  finding.where = {{"data", "test"}, {"slice", "left"}};
  const check::Evidence* e = evidence_of(finding, run.report.run);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->metric, "second");
  finding.where = {};
  EXPECT_EQ(evidence_of(finding, run.report.run)->metric, "other") << "the first of several";
  finding.subject = "reader@train";
  EXPECT_EQ(evidence_of(finding, run.report.run), nullptr);
}

TEST(StoredRun, WhatCouldNotBeJudgedIsNullAndNotEmpty) {
  StoredRun run = run_of("a", {figure("x", 1)});
  EXPECT_TRUE(nlohmann::json::parse(evidence_json(run))["claims"].is_array());
  run.not_judged = base::make_error(base::Code::kIo, "cannot be read", "system.toml");
  const nlohmann::json json = nlohmann::json::parse(evidence_json(run));
  EXPECT_TRUE(json["claims"].is_null());
  EXPECT_TRUE(json["argument"].is_null());
  EXPECT_TRUE(json["run"]["exit_status"].is_null());
  EXPECT_THAT(json["not_judged"].get<std::string>(), HasSubstr("system.toml"));
  EXPECT_EQ(json["evidence"].size(), 1U);
}

}  // namespace
}  // namespace plumbline::view
