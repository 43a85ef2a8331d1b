#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::base {
namespace {

using ::testing::HasSubstr;

TEST(Hash, Sha256KnownAnswers) {
  // FIPS 180-4 examples.
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_NE(Sha256().add_field("ab").add_field("c").hex(), Sha256().add_field("a").add_field("bc").hex());
}

TEST(Guard, MessagesNameArgumentAndValue) {
  const double bad[] = {1.0, NAN};
  EXPECT_THAT(check_all_finite("f", "logits", bad).error().text(), HasSubstr("logits[1] is nan"));
  EXPECT_THAT(check_in_open("f", "level", 1.0, 0, 1).error().text(),
              HasSubstr("level is 1, expected a number in (0, 1)"));
  EXPECT_THAT(check_in("f", "share", NAN, 0, 1).error().text(), HasSubstr("share is nan"));
  EXPECT_THAT(check_positive("f", "scale", -2).error().text(), HasSubstr("scale is -2"));
  EXPECT_THAT(check_at_least("f", "rows", 0, 1).error().text(), HasSubstr("rows is 0, expected at least 1"));
  EXPECT_THAT(check_size("f", "labels", 3, 4).error().text(), HasSubstr("labels has size 3, expected 4"));
  const int labels[] = {0, 5};
  EXPECT_THAT(check_labels("f", "labels", labels, 3).error().text(),
              HasSubstr("labels[1] is 5, expected an integer in [0, 3)"));
  EXPECT_TRUE(check_finite("f", "x", 1.0).ok());
}

TEST(Parallel, OrderedSumHasTheSameBitsForAnyThreads) {
  Rng rng(1);
  std::vector<double> values(100003);
  for (double& v : values) v = rng.normal() * std::exp(10 * rng.normal());
  const double serial = ordered_sum(values);
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    EXPECT_EQ(ordered_sum(values.size(), [&](std::size_t i) { return values[i]; }), serial);
  }
  set_threads(0);
}

TEST(Parallel, FirstErrorByIndexWinsAndCancelStops) {
  const auto status = parallel_for(100, [](std::size_t i) -> Status {
    if (i == 40 || i == 70) return make_error(Code::kValue, "task " + std::to_string(i));
    return ok();
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "task 40");
  const auto token = CancelToken::make();
  token.cancel();
  EXPECT_EQ(parallel_for(
                10, [](std::size_t) { return ok(); }, token)
                .error()
                .code,
            Code::kCancelled);
}

TEST(Text, NearestSuggestsOnlyWhatIsNear) {
  const std::string words[] = {"confidence", "severity", "metric"};
  EXPECT_EQ(nearest("confidance", words), "confidence");
  EXPECT_EQ(nearest("zzzzzz", words), "");
  EXPECT_EQ(join_words(words), "confidence, severity and metric");
}

TEST(Result, ErrorTextPutsPlaceFirstAndHintLast) {
  const Error error = make_error(Code::kParse, "3 cells, expected 4", "row 12", "Quote cells that hold commas");
  EXPECT_EQ(error.at("train.csv").text(), "train.csv: row 12: 3 cells, expected 4. Quote cells that hold commas");
  const Result<int> failed = error;
  EXPECT_THROW((void)failed.value(), InternalError);
  EXPECT_EQ(make_error(Code::kValue, "no 'falback'; did you mean 'fallback'?", "", "Names are listed").text(),
            "no 'falback'; did you mean 'fallback'? Names are listed");
}

}  // namespace
}  // namespace plumbline::base
