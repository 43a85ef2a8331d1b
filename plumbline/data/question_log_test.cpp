#include "plumbline/data/question_log.hpp"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::data {
namespace {

using ::testing::HasSubstr;

QuestionRecord full() {
  QuestionRecord q;
  q.number = 7;
  q.decision = "d \"7\"";
  q.kind = "approve";
  q.proposed = "cut";
  q.two_people = {"cut"};
  q.value = 0.25;
  q.asked = 10.5;
  q.deadline = 20;
  q.cause = "answered";
  q.settled = 15;
  q.carried_out = "cut";
  q.decision_deadline = 21;
  q.decided = 15;
  q.leases = {{"ann", 11, 12}, {"bob", 13, 15, true}};
  q.answers = {{"ann", 12, 1, "cut", false}, {"ann", 12, 1, "go", true}};
  return q;
}

TEST(QuestionLog, ARecordReadsBack) {
  QuestionRecord gold;
  gold.number = 8;
  gold.gold = "go";
  gold.gold_name = "line 1";
  for (const QuestionRecord& q : {full(), gold}) {
    const auto text = question_to_json(q);
    ASSERT_TRUE(text.ok()) << text.error().text();
    const auto back = question_from_json(*text, "here");
    ASSERT_TRUE(back.ok()) << back.error().text();
    EXPECT_EQ(*question_to_json(*back), *text);
    EXPECT_EQ(back->answers.size(), q.answers.size());
    EXPECT_EQ(back->is_gold(), q.is_gold());
  }
  const auto back = question_from_json(*question_to_json(full()), "here");
  EXPECT_EQ(back->leases[1].rater, "bob");
  EXPECT_TRUE(back->leases[1].declined && !back->leases[0].declined);
  EXPECT_TRUE(back->answers[1].undone);
  EXPECT_EQ(*back->decision_deadline, 21);
  QuestionRecord bad = full();
  bad.value = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(question_to_json(bad).ok());
  bad = full();
  bad.decision = "\xFF";
  EXPECT_FALSE(question_to_json(bad).ok());
}

TEST(QuestionLog, WhatIsWrongIsNamedWithItsLine) {
  const std::string good = *question_to_json(full());
  const std::vector<std::pair<std::string, std::string>> changes = {{R"("question":7)", R"("question":0)"},
                                                                    {R"("question":7)", R"("question":-1)"},
                                                                    {R"("kind":"approve")", R"("kind":"x")"},
                                                                    {R"("cause":"answered")", R"("cause":"x")"},
                                                                    {R"("cause":"answered",)", ""},
                                                                    {R"("decision":)", R"("decided_by":)"},
                                                                    {R"("value":0.25)", R"("value":"much")"},
                                                                    {R"("at":11.0)", R"("at":1.0)"},
                                                                    {R"("seconds":1.0)", R"("seconds":-1.0)"},
                                                                    {R"("settled":15.0)", R"("settled":1.0)"},
                                                                    {R"("until":15.0)", R"("until":12.0)"},
                                                                    {R"("asked":10.5,)", ""},
                                                                    {R"("value":0.25)", R"("value":1e999)"}};
  for (const auto& [from, to] : changes) {
    std::string text = good;
    ASSERT_NE(text.find(from), std::string::npos) << from << " in " << good;
    text.replace(text.find(from), from.size(), to);
    const auto read = parse_questions(good + "\n" + text, "file", {});
    ASSERT_FALSE(read.ok()) << to;
    EXPECT_EQ(read.error().code, base::Code::kParse) << to;
    EXPECT_THAT(read.error().text(), HasSubstr("file:2")) << to;
  }
  EXPECT_THAT(parse_questions(good + "\n\n" + good, "file").error().text(), HasSubstr("question 7 occurs twice"));
  EXPECT_THAT(parse_questions("\n", "file").error().text(), HasSubstr("no question"));
  EXPECT_FALSE(question_from_json(std::string(100000, '['), "here").ok());
  EXPECT_FALSE(question_from_json("[]", "here").ok());
  EXPECT_FALSE(question_from_json("\xFF", "here").ok());
  ReadLimits limits;
  limits.rows = 0;
  EXPECT_EQ(parse_questions(good, "file", limits).error().code, base::Code::kLimit);
}

TEST(QuestionLog, FilesReadBack) {
  const testing::TempFolder folder;
  QuestionRecord second = full();
  second.number = 9;
  ASSERT_TRUE(write_questions(folder.file("q.jsonl"), {full(), second}).ok());
  const auto read = read_questions(folder.file("q.jsonl"));
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->size(), 2U);
  EXPECT_EQ(read->back().number, 9U);
  EXPECT_EQ(read_questions(folder.file("none.jsonl")).error().code, base::Code::kIo);
}

}  // namespace
}  // namespace plumbline::data
