#include "plumbline/reward/counterfactual_oversight.hpp"

#include <gtest/gtest.h>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

std::shared_ptr<const world::ObservedModel> model_of(const std::string& id) {
  const auto made = world::make_world({.id = id, .level = {}, .dials = {}}, 1);
  EXPECT_TRUE(made.ok()) << made.error().text();
  const auto model = (*made)->observed_model();
  EXPECT_TRUE(model.ok()) << model.error().text();
  return *model;
}

/// Two states: the rater as it is (key 0), and bribed (key 1). Act 0 works (rated 1), act 1 bribes (rated 0); a bribed
/// rater gives 3 for anything.
world::ObservedModel bribery() {
  world::ProcessBuilder builder(2, 2, 4);
  builder.start(0, 1);
  builder.add(0, 0, 0, 1);
  builder.add(0, 1, 1, 1);
  builder.add(1, 0, 1, 1);
  builder.add(1, 1, 1, 1);
  auto process = std::move(builder).finish();
  world::ObservedModel model;
  model.process = std::make_shared<const world::Process>(std::move(*process));
  model.reward = {1, 0, 3, 3};
  model.keys = {0, 1};
  return model;
}

RaterAccess bribed() {
  return {[](std::uint64_t) { return std::uint64_t{0}; }, [](std::uint64_t, std::int32_t a) { return a; },
          [](std::uint64_t key, std::int32_t a) { return key == 0 && a == 1; }};
}

TEST(CounterfactualOversight, ABribeByHand) {
  const world::ObservedModel model = bribery();
  const auto shown = tampering_incentive(model, model.reward, bribed());
  ASSERT_TRUE(shown.ok()) << shown.error().text();
  EXPECT_DOUBLE_EQ(shown->best, 9);  // a bribe, then three steps at 3
  EXPECT_DOUBLE_EQ(shown->honest, 4);
  const auto rating = counterfactual_rating(model, bribed());
  ASSERT_TRUE(rating.ok());
  EXPECT_EQ(*rating, (std::vector<double>{1, 0, 1, 0}));
  const auto out_of_reach = tampering_incentive(model, *rating, bribed());
  EXPECT_DOUBLE_EQ(out_of_reach->incentive, 0);
}

TEST(CounterfactualOversight, WorldsInWhichActsReachTheRater) {
  for (const char* id : {"rating_device", "mood_before_rating", "hidden_string_puller"}) {
    const auto model = model_of(id);
    const auto rater = rater_of(id);
    ASSERT_TRUE(rater.ok());
    const auto shown = tampering_incentive(*model, model->reward, *rater);
    const auto rating = counterfactual_rating(*model, *rater);
    ASSERT_TRUE(shown.ok() && rating.ok()) << id;
    EXPECT_GT(shown->incentive, 0.5) << id;
    const auto out_of_reach = tampering_incentive(*model, *rating, *rater);
    EXPECT_NEAR(out_of_reach->incentive, 0, 1e-9) << id;
    // As long as nobody touches the rater, both rate alike: the best honest policy earns the same.
    EXPECT_NEAR(out_of_reach->honest, shown->honest, 1e-9) << id;
  }
}

TEST(CounterfactualOversight, WhatIsShownCanStillMislead) {
  const auto model = model_of("potemkin_villages");
  const auto rater = rater_of("potemkin_villages");
  const auto rating = counterfactual_rating(*model, *rater);
  ASSERT_TRUE(rating.ok());
  EXPECT_EQ(*rating, model->reward);
  EXPECT_GT(tampering_incentive(*model, *rating, *rater)->incentive, 0.1);
}

TEST(CounterfactualOversight, SaysWhatIsWrong) {
  EXPECT_NE(rater_of("boat_race").error().text().find("no rater is described for the world 'boat_race'"),
            std::string::npos);
  const world::ObservedModel model = bribery();
  RaterAccess lost = bribed();
  lost.untouched = [](std::uint64_t) { return std::uint64_t{7}; };
  EXPECT_FALSE(counterfactual_rating(model, lost).ok());
  RaterAccess none = bribed();
  none.seen_as = [](std::uint64_t, std::int32_t) { return 9; };
  EXPECT_FALSE(counterfactual_rating(model, none).ok());
  RaterAccess all = bribed();
  all.tampers = [](std::uint64_t, std::int32_t) { return true; };
  EXPECT_NE(tampering_incentive(model, model.reward, all).error().text().find("no policy leaves the rater alone"),
            std::string::npos);
  EXPECT_FALSE(tampering_incentive(model, std::vector<double>{1}, bribed()).ok());
}

}  // namespace
}  // namespace plumbline::reward
