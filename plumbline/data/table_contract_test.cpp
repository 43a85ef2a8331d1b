#include "plumbline/data/table_contract.hpp"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/csv.hpp"

namespace plumbline::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table table(const std::string& text) {
  auto parsed = parse_csv(text, "t.csv");
  EXPECT_TRUE(parsed.ok()) << parsed.error().text();
  return parsed.ok() ? *parsed : Table{};
}

std::vector<std::size_t> all(const Table& t) {
  std::vector<std::size_t> rows(t.rows());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

const char* const kTrain = "age,sex,note\n10,f,\n20,m,\n30,f,\n,m,\n";

TEST(TableContract, StandardisesOneHotsAndMarksMissing) {
  const Table train = table(kTrain);
  const auto contract = fit_contract(train);
  ASSERT_TRUE(contract.ok());
  EXPECT_THAT(contract->names(), ElementsAre("age", "age missing", "sex = f", "sex = m", "note", "note missing"));
  const auto x = encode_table(*contract, train, all(train));
  ASSERT_TRUE(x.ok());
  const double deviation = std::sqrt(200.0 / 3);  // divisor n
  EXPECT_NEAR((*x)(0, 0), -10 / deviation, 1e-6);
  EXPECT_EQ((*x)(3, 0), 0);
  EXPECT_EQ((*x)(3, 1), 1);
  EXPECT_EQ((*x)(0, 2), 1);
  EXPECT_EQ((*x)(1, 3), 1);
}

TEST(TableContract, UnseenLevelsAndNewGapsAreCounted) {
  const Table train = table("age,sex\n10,f\n20,m\n30,f\n");
  const Table test = table("sex,age,more\nx,10,1\nf,?,2\nx,20,3\n");
  const auto contract = fit_contract(train);
  ASSERT_TRUE(contract.ok());
  EncodeReport report;
  const auto x = encode_table(*contract, test, all(test), &report);
  ASSERT_TRUE(x.ok());
  EXPECT_EQ(report.rows_with_unseen, 2U);
  EXPECT_EQ(report.unseen.at("sex").at("x"), 2U);
  EXPECT_EQ(report.missing.at("age"), 1U);
  EXPECT_EQ((*x)(0, 1) + (*x)(0, 2), 0);
  EXPECT_EQ((*x)(1, 0), 0);
}

TEST(TableContract, IsFittedOnTrainAloneAndSurvivesJson) {
  const auto contract = fit_contract(table(kTrain));
  ASSERT_TRUE(contract.ok());
  const auto back = parse_contract(contract_json(*contract));
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->hash(), contract->hash());
  EXPECT_EQ(contract_json(*back), contract_json(*contract));
  EXPECT_NE(fit_contract(table("age,sex\n10,f\n20,m\n31,f\n"))->hash(), contract->hash());
  for (const char* const bad :
       {"", "[]", "{}",
        R"({"schema":"plumbline.table-contract.1","mode":"encoded","columns":[{"name":"a","deviation":0}]})"}) {
    EXPECT_FALSE(parse_contract(bad).ok());
  }
}

TEST(TableContract, RawTakesDeclaredColumnsInOrder) {
  const Table train = table("a,b,c\n1,2,x\n3,,y\n");
  const std::vector<std::string> columns = {"b", "a"};
  const auto contract = fit_contract(train, columns, TableContract::Mode::kRaw);
  ASSERT_TRUE(contract.ok());
  const auto x = encode_table(*contract, train, all(train));
  ASSERT_TRUE(x.ok());
  EXPECT_EQ((*x)(0, 0), 2);
  EXPECT_EQ((*x)(0, 1), 1);
  EXPECT_TRUE(std::isnan((*x)(1, 0)));
  const std::vector<std::string> category = {"c"};
  EXPECT_THAT(fit_contract(train, category, TableContract::Mode::kRaw).error().text(),
              HasSubstr("column 'c' is a category"));
}

TEST(TableContract, Errors) {
  const Table train = table("age,sex\n10,f\n20,m\n30,f\n");
  const std::vector<std::string> typo = {"agee"};
  EXPECT_THAT(fit_contract(train, typo).error().text(), HasSubstr("there is no column 'agee', did you mean 'age'?"));
  EXPECT_THAT(fit_contract(Table{}).error().text(), HasSubstr("train has no row"));
  const auto contract = fit_contract(train);
  ASSERT_TRUE(contract.ok());
  const Table text = table("age,sex\nold,f\n");
  EXPECT_THAT(encode_table(*contract, text, all(text)).error().text(), HasSubstr("column 'age' holds text"));
  const Table less = table("age\n1\n");
  EXPECT_THAT(encode_table(*contract, less, all(less)).error().text(), HasSubstr("there is no column 'sex'"));
  const std::vector<std::size_t> far = {9};
  EXPECT_THAT(encode_table(*contract, train, far).error().text(), HasSubstr("rows[0] is 9"));
}

}  // namespace
}  // namespace plumbline::data
