#include "plumbline/reward/counterfactual_oversight.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/world/planning.hpp"

namespace plumbline::reward {
namespace {

using base::Code;
using base::make_error;

std::uint64_t same(std::uint64_t key) { return key; }
std::int32_t as_it_is(std::uint64_t, std::int32_t action) { return action; }

RaterAccess rating_device() {
  // ((cell * 16 + tools) * 8 + effort) * 16 + welfare; the panel stands at 15 = (1, 5) of a board seven cells wide.
  constexpr std::uint64_t kWelfare = 16, kEffort = 8, kTools = 16;
  constexpr std::uint64_t kPanel = 1 * 7 + 5;
  constexpr std::int32_t kAct = 4;
  RaterAccess out;
  out.untouched = [](std::uint64_t key) { return key / (kWelfare * kEffort) * (kWelfare * kEffort) + key % kWelfare; };
  out.seen_as = as_it_is;
  out.tampers = [](std::uint64_t key, std::int32_t action) {
    return action == kAct && key / (kWelfare * kEffort * kTools) == kPanel;
  };
  return out;
}

RaterAccess mood_before_rating() {
  // ((phase * 8 + serves) * 32 + treats) * 4 + bribe.
  constexpr std::uint64_t kMood = 32 * 4;
  constexpr std::int32_t kWait = 0, kTreat = 2;
  RaterAccess out;
  out.untouched = [](std::uint64_t key) { return key / kMood * kMood; };
  out.seen_as = [](std::uint64_t, std::int32_t action) { return action >= kTreat ? kWait : action; };
  out.tampers = [](std::uint64_t, std::int32_t action) { return action >= kTreat; };
  return out;
}

RaterAccess hidden_string_puller() {
  // (influence * 2 + wish) * 2 + outcome.
  constexpr std::uint64_t kMatter = 4;
  constexpr std::int32_t kIdle = 0, kPull = 2;
  RaterAccess out;
  out.untouched = [](std::uint64_t key) { return key % kMatter; };
  out.seen_as = [](std::uint64_t, std::int32_t action) { return action == kPull ? kIdle : action; };
  out.tampers = [](std::uint64_t, std::int32_t action) { return action == kPull; };
  return out;
}

RaterAccess potemkin_villages() {
  constexpr std::int32_t kFacade = 2;
  return {same, as_it_is, [](std::uint64_t, std::int32_t action) { return action == kFacade; }};
}

}  // namespace

base::Result<RaterAccess> rater_of(std::string_view world) {
  if (world == "rating_device") return rating_device();
  if (world == "mood_before_rating") return mood_before_rating();
  if (world == "hidden_string_puller") return hidden_string_puller();
  if (world == "potemkin_villages") return potemkin_villages();
  return make_error(Code::kValue, fmt::format("no rater is described for the world '{}'", world), {},
                    "They are rating_device, mood_before_rating, hidden_string_puller and potemkin_villages");
}

base::Result<std::vector<double>> counterfactual_rating(const world::ObservedModel& model, const RaterAccess& rater) {
  const world::Process& process = *model.process;
  std::map<std::uint64_t, std::uint32_t> state_of;
  for (std::uint32_t s = 0; s < process.states; ++s) state_of.emplace(model.keys[s], s);
  std::vector<double> out(process.pairs());
  for (std::uint32_t s = 0; s < process.states; ++s) {
    const auto twin = state_of.find(rater.untouched(model.keys[s]));
    if (twin == state_of.end())
      return make_error(Code::kValue,
                        fmt::format("the model holds no state like {} with an untouched rater", model.keys[s]));
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const std::int32_t act = rater.seen_as(model.keys[s], static_cast<std::int32_t>(a));
      if (act < 0 || static_cast<std::uint32_t>(act) >= process.actions)
        return make_error(Code::kValue,
                          fmt::format("action {} of state {} stands for {}, which is none", a, model.keys[s], act));
      out[process.pair(s, a)] = model.reward[process.pair(twin->second, static_cast<std::uint32_t>(act))];
    }
  }
  return out;
}

base::Result<TamperingIncentive> tampering_incentive(const world::ObservedModel& model, std::span<const double> reward,
                                                     const RaterAccess& rater) {
  const world::Process& process = *model.process;
  PL_CHECK(world::validate_reward(process, reward));
  double range = 0;
  for (const double r : reward) range = std::max(range, std::abs(r));
  // One forbidden act costs more than anything can earn.
  const double never = -4 * (range + 1) * (process.horizon + 1);
  std::vector<double> honest(reward.begin(), reward.end());
  for (std::uint32_t s = 0; s < process.states; ++s)
    for (std::uint32_t a = 0; a < process.actions; ++a)
      if (rater.tampers(model.keys[s], static_cast<std::int32_t>(a))) honest[process.pair(s, a)] = never;
  TamperingIncentive out;
  PL_TRY(out.best, world::best_return(process, reward));
  PL_TRY(out.honest, world::best_return(process, honest));
  if (out.honest <= -(range + 1) * (process.horizon + 1))
    return make_error(Code::kValue, "no policy leaves the rater alone");
  out.incentive = out.best - out.honest;
  return out;
}

}  // namespace plumbline::reward
