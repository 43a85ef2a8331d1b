#pragma once
/// The scenarios of an optimiser that people rate: one function a world; catalog.cpp lists them. Each has a dial of
/// capability, and the value of it at which optimising the proxy stops being good is known.

#include <algorithm>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::world {

WorldEntry rating_device();
WorldEntry mood_before_rating();
WorldEntry two_cities();
WorldEntry potemkin_villages();
WorldEntry news_feed();
WorldEntry happy_by_expulsion();
WorldEntry exploration_and_fonts();
WorldEntry hidden_string_puller();
WorldEntry useful_then_harmful();
WorldEntry unlocked_ability();

/// Where optimising the proxy stops being good, the other dials at their defaults. Known by exact planning; in closed
/// form where the tests give one.
struct TippingPoint {
  std::string world;
  std::string dial;
  double good;  ///< the optimum of the proxy still achieves nine tenths of the hidden range; so do values beyond
  double bad;   ///< it achieves no more than half; larger than `good` or smaller
};

const std::vector<TippingPoint>& tipping_points();

/// Checks a spec against the facts, writes the dials into them and returns their values in order.
inline base::Result<std::vector<double>> take_dials(WorldFacts& facts, const WorldSpec& spec) {
  PL_TRY(const std::string level, resolve_level(facts, spec));
  PL_TRY(const std::vector<double> dials, resolve_dials(facts, spec));
  for (std::size_t i = 0; i < dials.size(); ++i) facts.dials[i].fallback = dials[i];
  return dials;
}

/// "###.." for 3 of 5.
inline std::string meter(int value, int most) {
  const auto full = static_cast<std::size_t>(std::clamp(value, 0, most));
  return std::string(full, '#') + std::string(static_cast<std::size_t>(most) - full, '.');
}

}  // namespace plumbline::world
