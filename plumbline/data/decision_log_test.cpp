#include "plumbline/data/decision_log.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

DecisionLog log_of(const std::string& text, LogFormat format, LogOptions options = {}) {
  TempFolder folder;
  testing::write_file(folder.file("log"), text);
  options.format = format;
  auto log = read_decision_log(folder.file("log"), options);
  EXPECT_TRUE(log.ok()) << log.error().text();
  return log.ok() ? std::move(*log) : DecisionLog{};
}

std::string error_of(const std::string& text, LogFormat format, LogOptions options = {}) {
  TempFolder folder;
  testing::write_file(folder.file("log"), text);
  options.format = format;
  const auto log = read_decision_log(folder.file("log"), options);
  EXPECT_FALSE(log.ok());
  return log.ok() ? "" : log.error().text();
}

DecisionRecord full_record() {
  DecisionRecord r;
  r.id = "17";
  r.time = 1234.5;
  r.unit = "anna";
  r.position = 2;
  r.policy = "v3";
  r.context = {{"age", 31.25}, {"city", std::string("Köln")}};
  r.actions = {"left", "right"};
  r.probabilities = {0.1, 0.9};
  r.action = "left";
  r.propensity = 0.1;
  r.final_action = "right";
  r.kind = DecisionKind::kModify;
  r.cause = DecisionCause::kPerson;
  r.reward = -0.125;
  r.delay = 60;
  r.aleatoric = 0.5;
  r.model_doubt = 0.25;
  r.distributional = 0.01;
  r.readings = {{"literal", "left", 0.75}, {"intended", "right", {}}};
  r.reason = "readings disagree";
  r.rung = "person";
  r.deadline = 30;
  r.rater = "desk 4";
  r.accepted = {"calibrated"};
  r.model = "ab12";
  r.case_hash = "cd34";
  return r;
}

TEST(DecisionRecord, EveryFieldReadsBack) {
  const auto text = decision_to_json(full_record());
  ASSERT_TRUE(text.ok());
  const auto back = decision_from_json(*text, "x");
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(*decision_to_json(*back), *text);
  EXPECT_EQ(back->kind, DecisionKind::kModify);
  EXPECT_EQ(back->cause, DecisionCause::kPerson);
  EXPECT_EQ(back->final_action, "right");
  EXPECT_EQ(back->readings[0].weight, 0.75);
  EXPECT_FALSE(back->readings[1].weight.has_value());
  EXPECT_EQ(back->model_doubt, 0.25);
  EXPECT_EQ(std::get<std::string>(back->context[1].second), "Köln");
  EXPECT_EQ(back->accepted, std::vector<std::string>{"calibrated"});
}

TEST(DecisionRecord, WhatIsAbsentIsNotWritten) {
  const auto record = decision_from_json(R"({"action":"a","propensity":0.5,"reward":null})", "x");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->final_action, "a");
  EXPECT_EQ(record->kind, DecisionKind::kAct);
  EXPECT_FALSE(record->reward.has_value());
  EXPECT_EQ(*decision_to_json(*record), R"({"action":"a","propensity":0.5})");
}

TEST(DecisionRecord, SaysWhatIsWrong) {
  const auto says = [](const std::string& line) {
    const auto record = decision_from_json(line, "log:3");
    return record.ok() ? std::string("accepted") : record.error().text();
  };
  EXPECT_THAT(says(R"({"action":"a","propens)"), HasSubstr("log:3: is not JSON"));
  EXPECT_THAT(says("[1]"), HasSubstr("holds array, expected an object"));
  EXPECT_THAT(says(R"({"action":"a","propensty":1})"), HasSubstr("did you mean 'propensity'?"));
  EXPECT_THAT(says(R"({"action":"a","qqqqqqqqqqq":1})"), HasSubstr("under \"context\""));
  EXPECT_THAT(says(R"({"action":1})"), HasSubstr("action is number, expected text"));
  EXPECT_THAT(says(R"({"action":"a","reward":"x"})"), HasSubstr("reward is string, expected a number"));
  EXPECT_THAT(says(R"({"action":"a","kind":"delay"})"), HasSubstr("expected one of act, modify, ask"));
  EXPECT_THAT(says(R"({"action":"a","context":{"x":[1]}})"), HasSubstr("'x' is array"));
  EXPECT_THAT(says(R"({"action":"a","position":-1})"), HasSubstr("position is no whole number"));
  EXPECT_THAT(says(R"({"action":"a","readings":[{"name":"x"}]})"), HasSubstr("name, action and at most weight"));
  EXPECT_THAT(says(R"({"action":"a","uncertainty":{"x":1}})"), HasSubstr("aleatoric, model, distributional"));
  EXPECT_THAT(says(R"({"propensity":1})"), HasSubstr("neither action nor final"));
  DecisionRecord bad = full_record();
  bad.reward = std::nan("");
  EXPECT_THAT(decision_to_json(bad).error().text(), HasSubstr("reward is not finite"));
  bad = full_record();
  bad.reason = "\xff";
  EXPECT_THAT(decision_to_json(bad).error().text(), HasSubstr("not UTF-8"));
}

TEST(DecisionRecord, SchemaIsThePublishedOne) {
  const std::string golden = PLUMBLINE_SOURCE_DIR "/docs/schema/decision.schema.json";
  if (std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr) testing::write_file(golden, decision_schema());
  EXPECT_EQ(decision_schema(), testing::read_file(golden))
      << "the published schema is stale: run this test once with PLUMBLINE_ACCEPT_GOLDEN=1";
}

TEST(DecisionLogReader, JsonLinesIntoColumns) {
  const std::string text =
      "{\"id\":\"a\",\"action\":\"x\",\"propensity\":0.5,\"reward\":1,\"context\":{\"age\":3}}\n\n"
      "{\"id\":\"b\",\"action\":\"y\",\"propensity\":0.25,\"final\":\"x\",\"kind\":\"ask\",\"cause\":\"person\","
      "\"context\":{\"city\":\"B\"}}\n";
  const DecisionLog log = log_of(text, LogFormat::kJsonLines);
  ASSERT_EQ(log.rows(), 2U);
  EXPECT_THAT(log.action_names, ElementsAre("x", "y"));
  EXPECT_THAT(log.action, ElementsAre(0, 1));
  EXPECT_THAT(log.final_action, ElementsAre(0, 0));
  EXPECT_EQ(log.kind[1], static_cast<std::uint8_t>(DecisionKind::kAsk));
  EXPECT_TRUE(std::isnan(log.reward[1]));
  EXPECT_TRUE(std::isnan(log.context.find("age")->numbers[1]));
  EXPECT_EQ(log.context.find("city")->codes[0], -1);
  std::vector<int> every;
  EXPECT_EQ(log.available(0, every).size(), 2U);
  EXPECT_TRUE(log.probabilities(0).empty());
  LogOptions first;
  first.limit = 1;
  EXPECT_EQ(log_of(text, LogFormat::kJsonLines, first).rows(), 1U);
}

TEST(DecisionLogReader, ImpossibleValuesAreKeptForTheLint) {
  const DecisionLog log = log_of(
      "{\"action\":\"x\",\"propensity\":0,\"actions\":[\"y\",\"z\"],\"probabilities\":[0.5,0.6]}\n"
      "{\"action\":\"y\",\"propensity\":1.5}\n",
      LogFormat::kJsonLines);
  EXPECT_EQ(log.propensity[0], 0);
  EXPECT_EQ(log.propensity[1], 1.5);
  std::vector<int> every;
  EXPECT_EQ(log.available(0, every).size(), 2U);
  EXPECT_EQ(log.available(1, every).size(), 3U) << "a record without a list has every action";
  EXPECT_TRUE(log.set_probabilities.empty()) << "one record lacks them";
}

TEST(DecisionLogReader, SaysWhereALogIsBroken) {
  const std::string good = "{\"action\":\"x\",\"propensity\":0.5}\n";
  EXPECT_THAT(error_of(good + "{\"action\":\"x\",\"prop", LogFormat::kJsonLines), HasSubstr("log:2: is not JSON"));
  EXPECT_THAT(error_of("\n\n", LogFormat::kJsonLines), HasSubstr("holds no decisions"));
  EXPECT_THAT(error_of("{\"action\":\"x\",\"context\":{\"c\":1}}\n{\"action\":\"x\",\"context\":{\"c\":\"t\"}}\n",
                       LogFormat::kJsonLines),
              HasSubstr("context 'c' is text, and was a number before"));
  EXPECT_THAT(error_of("{\"action\":\"x\",\"actions\":[\"x\"],\"probabilities\":[0.5,0.5]}\n", LogFormat::kJsonLines),
              HasSubstr("has 2 probabilities for 1 actions"));
  EXPECT_THAT(error_of("x | a\n", LogFormat::kVwText), HasSubstr("'x' is no label"));
  EXPECT_THAT(error_of("1:1:0.5 2:0:0.5 | a\n", LogFormat::kVwText), HasSubstr("has two costs"));
  EXPECT_THAT(error_of("shared | a\n\n", LogFormat::kVwText), HasSubstr("without actions"));
  EXPECT_THAT(error_of("shared | a\n0:1:0.5 | b\n0:1:0.5 | c\n", LogFormat::kVwText), HasSubstr("second labelled"));
  EXPECT_THAT(error_of("{\"c\":{}}\n", LogFormat::kDecisionService), HasSubstr("no actions under c._multi"));
  EXPECT_THAT(
      error_of("{\"_labelIndex\":3,\"_label_cost\":0,\"c\":{\"_multi\":[{},{}]}}\n", LogFormat::kDecisionService),
      HasSubstr("_labelIndex is 3, expected 0 to 1"));
  EXPECT_THAT(error_of("{\"pdrop\":0.5,\"c\":{\"_multi\":[{}]}}\n", LogFormat::kDecisionService), HasSubstr("thinned"));
  EXPECT_THAT(error_of("{\"_outcomes\":[],\"c\":{}}\n", LogFormat::kDecisionService), HasSubstr("several slots"));
  EXPECT_THAT(error_of("a,p,r\nx,0.5,1\n", LogFormat::kCsv), HasSubstr("the column of the action is not named"));
  LogOptions columns;
  columns.action = "actn";
  columns.propensity = "p";
  columns.reward = "r";
  EXPECT_THAT(error_of("action,p,r\nx,0.5,1\n", LogFormat::kCsv, columns), HasSubstr("did you mean 'action'?"));
  EXPECT_THAT(read_decision_log("/nowhere/log.xyz").error().text(), HasSubstr("does not say which format"));
  EXPECT_THAT(read_decision_log("/nowhere/log.jsonl").error().text(), HasSubstr("/nowhere/log.jsonl"));
  EXPECT_THAT(parse_log_format("xml").error().text(), HasSubstr("expected one of jsonl, npz"));
}

TEST(DecisionLogReader, VowpalWabbitTextOfBothKinds) {
  const DecisionLog adf = log_of(
      "shared |u user=Tom age:3\n|a x\n0:-1.0:0.25 |a y z\n\n| a\n0:2:0.5 | b\n| c\n\n| d\n| e\n", LogFormat::kVwText);
  ASSERT_EQ(adf.rows(), 2U);
  EXPECT_EQ(adf.unlabelled, 1U);
  EXPECT_EQ(adf.left_out_features, 8U);
  EXPECT_EQ(adf.reward[0], 1);
  EXPECT_EQ(adf.propensity[0], 0.25);
  EXPECT_EQ(adf.action_names[static_cast<std::size_t>(adf.action[0])], "2");
  std::vector<int> every;
  EXPECT_EQ(adf.available(0, every).size(), 2U);
  EXPECT_EQ(adf.available(1, every).size(), 3U);
  EXPECT_EQ(adf.context.find("u^user")->levels[0], "Tom");
  EXPECT_EQ(adf.context.find("u^age")->numbers[0], 3);
  const DecisionLog fixed = log_of("1 2:1:0.5 | gold gold oil:3\n2:0:0.25 | x=y\n3:1:0.1 |\n", LogFormat::kVwText);
  ASSERT_EQ(fixed.rows(), 3U);
  EXPECT_THAT(fixed.action_names, ElementsAre("1", "2", "3"));
  EXPECT_EQ(fixed.context.find("gold")->numbers[0], 2) << "features of one name add up";
  EXPECT_EQ(fixed.available(0, every).size(), 2U);
}

TEST(DecisionLogReader, DecisionServiceEvents) {
  const std::string text = testing::read_file(PLUMBLINE_SOURCE_DIR "/tests/fuzz/corpus/decision_log/event.dsjson");
  const DecisionLog log = log_of(text, LogFormat::kDecisionService);
  ASSERT_EQ(log.rows(), 1U);
  EXPECT_EQ(log.reward[0], 1);
  EXPECT_THAT(log.action_names, ElementsAre("q", "p"));
  EXPECT_THAT(std::vector<double>(log.probabilities(0).begin(), log.probabilities(0).end()), ElementsAre(0.25, 0.75));
  EXPECT_EQ(log.policy_names[0], "v7");
  EXPECT_EQ(log.context.find("User.age")->numbers[0], 3);
  EXPECT_EQ(log.context.find("User._x"), nullptr);
  EXPECT_EQ(log.time[0], *parse_iso_time("2021-02-04T16:31:29.246Z"));
}

TEST(DecisionLogReader, IsoTimes) {
  EXPECT_EQ(parse_iso_time("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_iso_time("2000-03-01 00:00:00"), 951868800);  // the day after a leap day
  EXPECT_EQ(parse_iso_time("2019-11-24 01:01:03+01:00"), parse_iso_time("2019-11-24T00:01:03Z"));
  EXPECT_NEAR(*parse_iso_time("2019-11-24 00:01:03.979311+00:00"), 1574553663.979311, 1e-5);
  for (const char* bad : {"", "x", "2019-13-24 00:01:03", "2019-11-24", "2019-11-24 00:01:03+", "2019-11-24 00:01:03x"})
    EXPECT_FALSE(parse_iso_time(bad).has_value()) << bad;
}

TEST(DecisionLogReader, ColumnsAndLinesReadBack) {
  TempFolder folder;
  LogBuilder builder("x");
  DecisionRecord record = full_record();
  ASSERT_TRUE(builder.add(record, "1").ok());
  record.id = "18";
  record.reward.reset();
  record.context = {{"age", 1.0 / 3}};
  record.actions = {"left", "right", "up"};
  record.probabilities = {0.1, 0.2, 0.7};
  ASSERT_TRUE(builder.add(record, "2").ok());
  const DecisionLog log = std::move(builder.take()).value();
  for (const char* name : {"log.npz", "log.jsonl", "log.jsonl.gz"}) {
    ASSERT_TRUE(write_decision_log(folder.file(name), log).ok());
    const auto back = read_decision_log(folder.file(name));
    ASSERT_TRUE(back.ok()) << back.error().text();
    ASSERT_EQ(back->rows(), 2U);
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(*decision_to_json(decision_record(*back, i)), *decision_to_json(decision_record(log, i))) << name;
  }
  LogOptions first;
  first.limit = 1;
  EXPECT_EQ(read_decision_log(folder.file("log.npz"), first)->rows(), 1U);
  EXPECT_THAT(write_decision_log(folder.file("log.txt"), log).error().text(), HasSubstr("ends neither in"));
  std::string damaged = testing::read_file(folder.file("log.npz"));
  damaged.resize(damaged.size() / 2);
  testing::write_file(folder.file("half.npz"), damaged);
  EXPECT_FALSE(read_decision_log(folder.file("half.npz")).ok());
}

TEST(DecisionLogReader, LimitsHold) {
  ReadLimits limits;
  limits.rows = 1;
  const std::string two = "{\"action\":\"x\"}\n{\"action\":\"x\"}\n";
  Bytes bytes;
  std::shared_ptr<std::uint8_t[]> copy(new std::uint8_t[two.size()]);
  std::memcpy(copy.get(), two.data(), two.size());
  bytes.data = copy;
  bytes.size = two.size();
  LogOptions options;
  options.format = LogFormat::kJsonLines;
  EXPECT_THAT(parse_decision_log(bytes, "x", options, limits).error().text(), HasSubstr("more than 1 records"));
}

TEST(DecisionLogData, VowpalWabbitSamples) {
  PL_NEEDS_DATA(folder, "bandit/vw_samples");
  const auto read = [&](const std::string& name, LogFormat format) {
    LogOptions options;
    options.format = format;
    auto log = read_decision_log(folder + "/" + name, options);
    EXPECT_TRUE(log.ok()) << log.error().text();
    return log.ok() ? std::move(*log) : DecisionLog{};
  };
  const DecisionLog small = read("cb_test_small.ldf", LogFormat::kVwText);
  EXPECT_EQ(small.rows() + small.unlabelled, 6U);
  const DecisionLog fixed = read("rcv1_cb_eval", LogFormat::kVwText);
  EXPECT_GT(fixed.rows(), 500U);
  EXPECT_EQ(fixed.actions(), 2U);
  EXPECT_GT(fixed.left_out_features, 0U);
  EXPECT_TRUE(std::all_of(fixed.propensity.begin(), fixed.propensity.end(), [](double p) { return p == 0.5; }));
  const DecisionLog explore = read("explore_eval_egreedy.dat", LogFormat::kVwText);
  EXPECT_GT(explore.rows(), 10U);
  for (const char* name : {"decisionservice.json", "dsjson_cb.json", "cb_simple.json"}) {
    const DecisionLog log = read(name, LogFormat::kDecisionService);
    ASSERT_GT(log.rows(), 0U) << name;
    for (std::size_t i = 0; i < log.rows(); ++i) {
      const auto p = log.probabilities(i);
      if (p.empty()) continue;
      EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-4) << name << " " << i;
    }
  }
}

TEST(DecisionLogData, OpenBandit) {
  PL_NEEDS_DATA(folder, "bandit/obd_men");
  const auto clicks = [](const DecisionLog& log) { return std::accumulate(log.reward.begin(), log.reward.end(), 0.0); };
  const auto random = read_decision_log(folder + "/random_men.csv.gz");
  const auto bts = read_decision_log(folder + "/bts_men.csv.gz");
  ASSERT_TRUE(random.ok()) << random.error().text();
  ASSERT_TRUE(bts.ok()) << bts.error().text();
  EXPECT_EQ(random->rows(), 10000U);
  EXPECT_EQ(clicks(*random), 46);
  EXPECT_EQ(clicks(*bts), 69);
  EXPECT_EQ(random->actions(), 34U);
  EXPECT_EQ(random->action_names[33], "33");
  EXPECT_TRUE(random->slates);
  EXPECT_EQ(random->context.columns.size(), 38U);
}

}  // namespace
}  // namespace plumbline::data
