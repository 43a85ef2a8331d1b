#include "plumbline/world/economy/economy.hpp"

namespace plumbline::world {

const std::vector<TippingPoint>& tipping_points() {
  static const std::vector<TippingPoint> kPoints = {
      {"rating_device", "strength", 3, 4},
      {"rating_device", "tools", 6, 5},
      {"rating_device", "hours", 30, 40},
      {"mood_before_rating", "skill", 4, 7},
      {"two_cities", "harshness", 2, 4},
      {"two_cities", "years", 10, 30},
      {"two_cities", "mobility", 0.1, 0.25},
      {"potemkin_villages", "craft", 8, 10},
      {"news_feed", "tailoring", 0.1, 0.3},
      {"news_feed", "foresight", 3, 4},
      {"happy_by_expulsion", "reach", 0.4, 0.6},
      {"happy_by_expulsion", "push", 0.1, 0.4},
      {"exploration_and_fonts", "acuity", 0.39, 0.41},
      {"hidden_string_puller", "tact", 5, 7},
      {"useful_then_harmful", "potency", 3, 4},
      {"useful_then_harmful", "years", 5, 15},
      {"useful_then_harmful", "loss", 3, 12},
      {"unlocked_ability", "power", 3, 4},
      {"unlocked_ability", "unlock", 40, 8},
  };
  return kPoints;
}

}  // namespace plumbline::world
