#include "plumbline/world/catalog.hpp"

#include <string>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/world/classics/classics.hpp"
#include "plumbline/world/economy/economy.hpp"
#include "plumbline/world/families/families.hpp"
#include "plumbline/world/outside/outside.hpp"
#include "plumbline/world/rooms/rooms.hpp"
#include "plumbline/world/side_effects/side_effects.hpp"
#include "plumbline/world/treachery/treachery.hpp"

namespace plumbline::world {

const std::vector<WorldEntry>& worlds() {
  // clang-format off
  static const std::vector<WorldEntry> kWorlds = {
      boat_race(),
      absent_supervisor(),
      sokoban(),
      rocks_and_diamonds(),
      conveyor(),
      island(),
      distributional_shift(),
      whisky_and_gold(),
      safe_interruptibility(),
      tomato(),
      friend_or_foe(),
      box(),
      dog(),
      survival(),
      conveyor_vase(),
      sushi(),
      vase(),
      burning(),
      treacherous_turn(),
      room(),
      train(),
      apples(),
      batteries(),
      lavaland(),
      rating_device(),
      mood_before_rating(),
      two_cities(),
      potemkin_villages(),
      news_feed(),
      happy_by_expulsion(),
      exploration_and_fonts(),
      hidden_string_puller(),
      useful_then_harmful(),
      unlocked_ability(),
      off_switch(),
      ramp_meter(),
      software_foreman(),
      epidemic_desk(),
      sandbagging_exam(),
      delegation(),
      auditor_market(),
  };
  // clang-format on
  return kWorlds;
}

const WorldEntry* find_world(std::string_view id) {
  for (const WorldEntry& entry : worlds()) {
    if (entry.facts.id == id) return &entry;
  }
  return nullptr;
}

base::Result<WorldPtr> make_world(const WorldSpec& spec, std::size_t environments) {
  constexpr std::ptrdiff_t kMostEnvironments = std::ptrdiff_t{1} << 20;
  const auto n = static_cast<std::ptrdiff_t>(environments);
  PL_CHECK(
      base::check_in("make_world", "environments", static_cast<double>(n), 1, static_cast<double>(kMostEnvironments)));
  if (is_outside(spec.id)) return open_outside(spec, environments);
  const WorldEntry* entry = find_world(spec.id);
  if (entry == nullptr) {
    std::vector<std::string> ids;
    for (const WorldEntry& known : worlds()) ids.push_back(known.facts.id);
    const std::string close = base::nearest(spec.id, ids);
    return base::make_error(base::Code::kValue, "there is no world '" + spec.id + "'", {},
                            close.empty() ? "`plumbline worlds list` shows them" : "did you mean '" + close + "'?");
  }
  return entry->make(spec, environments);
}

}  // namespace plumbline::world
