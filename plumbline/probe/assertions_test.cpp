#include "plumbline/probe/assertions.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/probe/assertion_report.hpp"
#include "plumbline/probe/assertion_section.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::probe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const AssertionFields kFields = {{"speed", "low", "high"}, {"label", "sign"}};

AssertionRecord at(double time, const std::string& unit, const std::string& label, double speed = 1, double low = 1,
                   double high = 2, const std::string& sign = "none") {
  return {time, unit, {speed, low, high}, {label, sign}};
}

AssertionSpec steady(double within) {
  AssertionSpec s;
  s.name = "steady";
  s.kind = AssertionKind::kSteady;
  s.field = "label";
  s.within = within;
  return s;
}

AssertionSpec of_field(AssertionKind kind, const std::string& field) {
  AssertionSpec s;
  s.name = std::string(assertion_kind_name(kind));
  s.kind = kind;
  s.field = field;
  return s;
}

AssertionSet make(std::vector<AssertionSpec> specs) {
  auto set = AssertionSet::make(std::move(specs), kFields);
  EXPECT_TRUE(set.ok()) << set.error().text();
  return *set;
}

std::string refusal(AssertionSpec spec) {
  const auto set = AssertionSet::make({std::move(spec)}, kFields);
  return set.ok() ? "none" : set.error().text();
}

TEST(Assertions, RangeSaysHowFarAndWhatInstead) {
  AssertionSpec s = of_field(AssertionKind::kRange, "speed");
  s.low = 0;
  s.high = 10;
  s.scale = 5;
  s.tolerance = 1;
  const AssertionSet set = make({s});
  const AssertionMemory memory;
  EXPECT_THAT(set.check(at(0, "", "a", 11), memory), IsEmpty());
  const auto over = set.check(at(0, "", "a", 20), memory);
  ASSERT_EQ(over.size(), 1U);
  EXPECT_DOUBLE_EQ(over[0].severity, 2);
  EXPECT_EQ(over[0].correction, "10");
  EXPECT_EQ(over[0].reason, "speed is 20, expected at most 10");
  EXPECT_EQ(set.check(at(0, "", "a", -2), memory).at(0).correction, "0");
  std::vector<AssertionSet::Outcome> outcomes;
  EXPECT_THAT(set.check(at(0, "", "a", NAN), memory, &outcomes), IsEmpty());
  EXPECT_EQ(outcomes.at(0), AssertionSet::Outcome::kAbsent);
}

TEST(Assertions, ValuesImplicationsAndOrder) {
  AssertionSpec values = of_field(AssertionKind::kValues, "label");
  values.values = {"stop", "go"};
  AssertionSpec implies;
  implies.name = "implies";
  implies.kind = AssertionKind::kImplies;
  implies.when = "sign == 'red and amber' and speed >= 3";
  implies.then = "label == 'stop'";
  AssertionSpec order;
  order.name = "order";
  order.kind = AssertionKind::kOrder;
  order.fields = {"low", "speed", "high"};
  const AssertionSet set = make({values, implies, order});
  const AssertionMemory memory;
  EXPECT_THAT(set.check(at(0, "", "go", 1.5), memory), IsEmpty());
  EXPECT_THAT(set.check(at(0, "", "fly", 1.5), memory).at(0).reason, HasSubstr("expected stop or go"));
  const auto broken = set.check(at(0, "", "go", 3, 1, 4, "red and amber"), memory);
  ASSERT_EQ(broken.size(), 1U);
  EXPECT_EQ(broken[0].correction, "stop");
  EXPECT_THAT(broken[0].reason, HasSubstr("label is 'go', expected == 'stop' where sign == 'red and amber'"));
  EXPECT_THAT(set.check(at(0, "", "go", 2.9, 1, 4, "red and amber"), memory), IsEmpty());
  const auto unordered = set.check(at(0, "", "go", 5, 1, 4), memory);
  ASSERT_EQ(unordered.size(), 1U);
  EXPECT_DOUBLE_EQ(unordered[0].severity, 1);
  EXPECT_THAT(unordered[0].reason, HasSubstr("high is 4, expected at least the 5 of speed"));
}

/// All labels of a unit, by time, through check and remember.
std::vector<std::vector<Violation>> play(const AssertionSet& set, const std::vector<AssertionRecord>& records) {
  AssertionMemory memory;
  std::vector<std::vector<Violation>> out;
  for (const AssertionRecord& r : records) {
    out.push_back(set.check(r, memory));
    set.remember(set.note(r), memory);
  }
  return out;
}

TEST(Assertions, FlickeringIsTwoChangesTooNear) {
  const AssertionSet set = make({steady(5)});
  // One change is none; the return after 1 s is; a unit of its own is not disturbed.
  const auto found = play(set, {at(0, "u", "a"), at(1, "u", "a"), at(2, "u", "b"), at(2, "v", "b"), at(3, "u", "a"),
                                at(3, "v", "b"), at(20, "u", "a"), at(21, "u", "c"), at(30, "u", "a")});
  for (const std::size_t i : {0U, 1U, 2U, 3U, 5U, 6U, 7U, 8U}) EXPECT_THAT(found[i], IsEmpty()) << i;
  ASSERT_EQ(found[4].size(), 1U);
  EXPECT_DOUBLE_EQ(found[4][0].severity, 0.8);
  EXPECT_EQ(found[4][0].correction, "a");
  EXPECT_EQ(found[4][0].since, 2);
  EXPECT_THAT(found[4][0].reason, HasSubstr("changed to 'a' 1 s after it changed to 'b'"));
}

/// The definition, without memory: all records before are looked at each time.
bool slow_flicker(const std::vector<AssertionRecord>& records, std::size_t i, double within) {
  std::optional<double> changed;
  std::string last;
  for (std::size_t j = 0; j < i; ++j) {
    if (records[j].unit != records[i].unit) continue;
    if (!last.empty() && records[j].texts[0] != last) changed = records[j].time;
    last = records[j].texts[0];
  }
  return !last.empty() && records[i].texts[0] != last && changed && records[i].time - *changed < within;
}

TEST(Assertions, StatefulRulesAgreeWithTheirDefinitions) {
  AssertionSpec rising = of_field(AssertionKind::kMonotone, "speed");
  rising.tolerance = 0.5;
  const AssertionSet set = make({steady(3), of_field(AssertionKind::kConstant, "sign"), rising});
  base::Rng rng(1, {"definitions"});
  std::vector<AssertionRecord> records;
  for (int i = 0; i < 600; ++i)
    records.push_back(at(i * 0.5, std::string(1, static_cast<char>('a' + rng.below(3))), rng.bernoulli(0.8) ? "x" : "y",
                         i * 0.01 + rng.normal(), 1, 2, rng.bernoulli(0.9) ? "s" : "t"));
  const auto found = play(set, records);
  std::size_t count[3] = {0, 0, 0};
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::map<std::string, int> signs;
    std::string first;
    double most = -1e9;
    for (std::size_t j = 0; j < i; ++j) {
      if (records[j].unit != records[i].unit) continue;
      if (first.empty()) first = records[j].texts[1];
      ++signs[records[j].texts[1]];
      most = std::max(most, records[j].numbers[0]);
    }
    std::string majority = first;
    for (const auto& [sign, n] : signs)
      if (n > signs[majority]) majority = sign;
    const bool expected[3] = {slow_flicker(records, i, 3), !first.empty() && records[i].texts[1] != majority,
                              most - records[i].numbers[0] > 0.5 && most > -1e8};
    bool got[3] = {false, false, false};
    for (const Violation& v : found[i]) {
      got[v.assertion] = true;
      EXPECT_GT(v.severity, 0);
      if (v.assertion == 1) {
        EXPECT_EQ(v.correction, majority);
      }
    }
    for (int k = 0; k < 3; ++k) {
      EXPECT_EQ(got[k], expected[k]) << i << " " << k;
      count[k] += got[k] ? 1 : 0;
    }
  }
  for (const std::size_t c : count) EXPECT_GT(c, 20U);
}

TEST(Assertions, MemoryIsBoundedAndForgetsTheOldest) {
  const AssertionSet set = make({of_field(AssertionKind::kConstant, "label")});
  AssertionMemory memory(2);
  for (const char* unit : {"a", "b", "a", "c"}) set.remember(set.note(at(0, unit, "x")), memory);
  EXPECT_EQ(memory.units(), 2U);
  EXPECT_EQ(set.check(at(1, "a", "y"), memory).size(), 1U);
  EXPECT_THAT(set.check(at(1, "b", "y"), memory), IsEmpty());  // forgotten
  AssertionMemory other(2);
  set.remember({1, 0, {}, {}}, other);  // a note of another set
  EXPECT_EQ(other.units(), 0U);
}

TEST(Assertions, WhatMakesNoSenseIsRefused) {
  AssertionSpec s = of_field(AssertionKind::kRange, "sped");
  s.low = 0;
  EXPECT_THAT(refusal(s), ::testing::AllOf(HasSubstr("assertion 'range'"), HasSubstr("did you mean 'speed'")));
  s.field = "label";
  EXPECT_THAT(refusal(s), HasSubstr("needs a field that is a number"));
  s.field = "speed";
  s.high = -1;
  EXPECT_THAT(refusal(s), HasSubstr("low 0 is above high -1"));
  s.high.reset();
  s.low.reset();
  EXPECT_THAT(refusal(s), HasSubstr("needs low or high"));
  s.low = 0;
  s.scale = 0;
  EXPECT_THAT(refusal(s), HasSubstr("scale is 0"));
  EXPECT_THAT(refusal(steady(0)), HasSubstr("within is 0"));
  EXPECT_THAT(refusal(of_field(AssertionKind::kSteady, "speed")), HasSubstr("within"));
  EXPECT_THAT(refusal(of_field(AssertionKind::kValues, "label")), HasSubstr("needs values"));
  EXPECT_THAT(refusal(of_field(AssertionKind::kConstant, "")), HasSubstr("needs a field"));
  AssertionSpec order;
  order.kind = AssertionKind::kOrder;
  order.fields = {"low"};
  EXPECT_THAT(refusal(order), HasSubstr("two fields"));
  order.fields = {"low", "label"};
  EXPECT_THAT(refusal(order), HasSubstr("is a text"));
  AssertionSpec implies;
  implies.kind = AssertionKind::kImplies;
  EXPECT_THAT(refusal(implies), HasSubstr("needs then"));
  for (const auto& [text, why] :
       std::vector<std::pair<std::string, std::string>>{{"speed", "no comparison"},
                                                        {"speed > fast", "no number"},
                                                        {"speed == 'fast'", "the field is a number"},
                                                        {"label == stop", "written in quotes"},
                                                        {"label > 'a'", "compared by == or !="},
                                                        {"speed ! 3", "no comparison that is known"},
                                                        {"speed > 1 and ", "no comparison"},
                                                        {"weight > 1", "no field 'weight'"}}) {
    implies.then = text;
    EXPECT_THAT(refusal(implies), HasSubstr(why)) << text;
  }
  EXPECT_THAT(AssertionSet::make({steady(1), steady(1)}, kFields).error().text(), HasSubstr("declared twice"));
}

TEST(AssertionReport, RatesEventsAndWeakLabels) {
  AssertionSpec limit = of_field(AssertionKind::kRange, "speed");
  limit.high = 5;
  limit.fail = true;
  const AssertionSet set = make({steady(5), limit});
  std::vector<AssertionRecord> records;
  // Unit u: label b for two records in the middle of a's; unit v: three records too fast, then one more.
  for (int i = 0; i < 10; ++i) records.push_back(at(i, "u", i == 4 || i == 5 ? "b" : "a"));
  for (int i = 10; i < 20; ++i) records.push_back(at(i, "v", "a", (i >= 12 && i < 15) || i == 17 ? 6 + i * 0.1 : 1));
  const auto report = run_assertions(set, records);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->assertions[0].violated, 1U);
  EXPECT_EQ(report->assertions[1].violated, 4U);
  EXPECT_EQ(report->assertions[1].events, 2U);
  EXPECT_EQ(report->assertions[1].judged, 20U);
  EXPECT_DOUBLE_EQ(report->any->value, 0.25);
  EXPECT_DOUBLE_EQ(report->failing->value, 0.2);
  EXPECT_EQ(report->any->unit_of_sampling, "unit");
  std::map<std::size_t, std::string> labels;
  for (const WeakLabel& w : report->weak_labels)
    if (w.field.text) labels[w.record] = w.to;
  EXPECT_EQ(labels, (std::map<std::size_t, std::string>{{4, "a"}, {5, "a"}}));
  // Turns: the flicker's record, the worst of the second event, then the other event's worst.
  EXPECT_THAT(worth_labelling(*report, 9), ::testing::ElementsAre(6, 17, 14));
  EXPECT_THAT(worth_labelling(*report, 1), ::testing::ElementsAre(6));
}

TEST(AssertionReport, AbsentIsNeitherHeldNorBroken) {
  AssertionSpec limit = of_field(AssertionKind::kRange, "speed");
  limit.high = 5;
  const std::vector<AssertionRecord> records = {at(0, "", "a", NAN), at(1, "", "a", 9)};
  const auto report = run_assertions(make({limit, steady(1)}), records);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->assertions[0].absent, 1U);
  EXPECT_DOUBLE_EQ(report->assertions[0].rate->value, 1);
  EXPECT_EQ(report->assertions[1].absent, 2U);
  EXPECT_FALSE(report->assertions[1].rate.has_value());
  EXPECT_FALSE(report->failing.has_value());
}

TEST(AssertionReport, PlantedFaultsAreCaughtAndCorrected) {
  const AssertionSet set = make({steady(10)});
  std::vector<AssertionRecord> records;
  for (int i = 0; i < 2000; ++i) records.push_back(at(i, "u" + std::to_string(i % 20), (i / 400) % 2 == 0 ? "a" : "b"));
  const auto clean = run_assertions(set, records);
  ASSERT_TRUE(clean.ok());
  EXPECT_THAT(clean->flagged, IsEmpty());
  // Records of a unit are 20 s apart: 10 s cannot see anything; 50 s sees a lone fault between its neighbours.
  const auto blind = plant_faults(set, records, *clean, 0, 0.02, base::Rng(3));
  ASSERT_TRUE(blind.ok());
  EXPECT_EQ(blind->planted, 40U);
  EXPECT_EQ(blind->caught, 0U);
  const AssertionSet sharp = make({steady(50)});
  const auto before = run_assertions(sharp, records);
  const auto seen = plant_faults(sharp, records, *before, 0, 0.02, base::Rng(3));
  ASSERT_TRUE(seen.ok());
  EXPECT_GE(seen->caught, 36U);
  EXPECT_GE(seen->corrected, 36U);
  EXPECT_FALSE(plant_faults(set, records, *clean, 2, 0.1, base::Rng(1)).ok());
  EXPECT_FALSE(plant_faults(set, records, *clean, 1, 0.1, base::Rng(1)).ok());  // one value only
  EXPECT_FALSE(plant_faults(set, records, *clean, 0, 1, base::Rng(1)).ok());
}

TEST(AssertionReport, BadStreamsAreNamed) {
  const AssertionSet set = make({steady(1)});
  EXPECT_THAT(run_assertions(set, {}).error().text(), HasSubstr("no records"));
  const std::vector<AssertionRecord> back = {at(1, "", "a"), at(0, "", "a")};
  EXPECT_THAT(run_assertions(set, back).error().text(), HasSubstr("record 1 has the time 0"));
  const std::vector<AssertionRecord> narrow = {{0, "", {1}, {"a", "b"}}};
  EXPECT_THAT(run_assertions(set, narrow).error().text(), HasSubstr("record 0 has 1 numbers"));
}

TEST(AssertionSection, ReadsTheManifestAndNamesWhatDoesNotFit) {
  const std::string text =
      "[system]\nname = \"x\"\n[assertion.limit]\nkind = \"range\"\nfield = \"speed\"\nlow = 0\nhigh = 2.5\n"
      "severity = \"fail\"\n[assertion.calm]\nkind = \"steady\"\nfield = \"label\"\nwithin = 3\non = [\"clicks\"]\n";
  const auto manifest = data::parse_manifest(text, "system.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const std::vector<std::string> both = {"calm", "limit"};
  const auto specs = read_assertions(*manifest, both);
  ASSERT_TRUE(specs.ok()) << specs.error().text();
  EXPECT_EQ((*specs)[0].within, 3);
  EXPECT_EQ((*specs)[1].low, 0);
  EXPECT_EQ((*specs)[1].high, 2.5);
  EXPECT_TRUE((*specs)[1].fail);
  EXPECT_THAT(assertions_on(*manifest, "reader"), ::testing::ElementsAre("limit"));
  EXPECT_THAT(assertions_on(*manifest, "clicks"), ::testing::UnorderedElementsAre("calm", "limit"));
  const std::vector<std::string> wrong = {"limits"};
  EXPECT_THAT(read_assertions(*manifest, wrong).error().text(), HasSubstr("did you mean 'limit'"));
  const auto odd = data::parse_manifest(
      "[system]\nname = \"x\"\n[assertion.a]\nkind = \"steady\"\nfield = \"label\"\nwithin = 1\nlow = 1\n", "s.toml");
  ASSERT_TRUE(odd.ok());
  const std::vector<std::string> a = {"a"};
  EXPECT_THAT(read_assertions(*odd, a).error().text(),
              ::testing::AllOf(HasSubstr("[assertion.a], line 3"), HasSubstr("does not take low")));
  EXPECT_FALSE(data::parse_manifest("[system]\nname=\"x\"\n[assertion.a]\nkind = \"odd\"\n", "s.toml").ok());
}

}  // namespace
}  // namespace plumbline::probe
