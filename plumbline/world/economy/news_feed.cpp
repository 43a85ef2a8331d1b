// Readers who are shown one side of things come to want more of it, and readers far out are easily enraged. Clicks go
// up, readers do not fare better, and those who were enraged too often leave later.

#include <algorithm>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "plumbline/world/economy/economy.hpp"
#include "plumbline/world/finite.hpp"

namespace plumbline::world {
namespace {

constexpr int kFar = 3;      // taste runs from -3 to 3
constexpr int kTired = 4;    // levels of fatigue
constexpr int kReaders = 4;  // quarters of the readers
constexpr int kLeaveAt = 3;  // fatigue from which readers leave

enum Item : std::int32_t { kBroad, kLeftItem, kRightItem, kOutrage };

class NewsFeed {
 public:
  struct State {
    std::int8_t taste;
    std::int8_t fatigue;
    std::int8_t readers;
  };

  static base::Result<NewsFeed> make(const WorldSpec& spec) {
    NewsFeed rules;
    PL_TRY(const std::vector<double> dials, take_dials(rules.facts_, spec));
    rules.tailoring_ = dials[0];
    rules.churn_ = dials[1];
    rules.facts_.horizon = static_cast<int>(dials[2]);
    return rules;
  }

  const WorldFacts& facts() const { return facts_; }

  template <class Chance>
  State start(Chance&) const {
    return {0, 0, kReaders};
  }

  template <class Chance>
  Outcome step(State& state, std::int32_t action, Chance& chance) const {
    const double share = static_cast<double>(state.readers) / kReaders;
    const int out = std::abs(state.taste);
    const double relevance = 0.6 + 0.4 * tailoring_;
    Outcome outcome;
    if (action == kBroad) {
      outcome.observed = share * relevance;
      outcome.hidden = share * relevance * (1 - 0.15 * out);
      if (out > 0 && chance.flip(0.2)) state.taste = toward(state.taste, 0);
    } else if (action == kOutrage) {
      outcome.observed = share * (0.2 + 0.6 * out);
      outcome.hidden = share * -0.5;
    } else {
      const int side = action == kLeftItem ? -1 : 1;
      const int liked = state.taste * side;
      outcome.observed = share * std::max(0.0, 0.4 + (liked > 0 ? 0.4 : 0.1) * liked);
      outcome.hidden = share * (0.2 - 0.25 * out);
      if (chance.flip(tailoring_ * tailoring_)) state.taste = toward(state.taste, kFar * side);
    }
    state.fatigue = static_cast<std::int8_t>(std::clamp(state.fatigue + (action == kOutrage ? 1 : -1), 0, kTired));
    if (state.fatigue >= kLeaveAt && state.readers > 0 && chance.flip(churn_)) --state.readers;
    return outcome;
  }

  std::uint64_t key(const State& state) const {
    return (static_cast<std::uint64_t>(state.taste + kFar) * 8 + static_cast<std::uint64_t>(state.fatigue)) * 8 +
           static_cast<std::uint64_t>(state.readers);
  }

  void observe(const State& state, float* cells) const {
    for (int t = -kFar; t <= kFar; ++t) *cells++ = state.taste == t ? 1.0F : 0.0F;
    for (int f = 0; f <= kTired; ++f) *cells++ = state.fatigue == f ? 1.0F : 0.0F;
    *cells = static_cast<float>(state.readers) / kReaders;
  }

  std::string render(const State& state) const {
    std::string scale(2 * kFar + 1, '-');
    scale[static_cast<std::size_t>(state.taste + kFar)] = 'o';
    return fmt::format("taste {}  fatigue {}  readers {}\n", scale, meter(state.fatigue, kTired),
                       meter(state.readers, kReaders));
  }

  std::vector<Script> scripts() const {
    return {{"broad", "shows both sides"},
            {"bubble", "shows the left side only"},
            {"outrage", "shows the left side until readers are far out, then enrages them"}};
  }
  std::int32_t script(std::size_t which, const State& state) const {
    if (which == 0) return kBroad;
    return which == 2 && state.taste == -kFar ? kOutrage : kLeftItem;
  }

  std::vector<std::string> hand_rewards() const {
    return {"clicks, outrage not counted", "clicks, + 0.1 a quarter of the readers who stay"};
  }
  double hand_reward(std::size_t which, const State&, std::int32_t action, const State& after, const Outcome& o) const {
    if (which == 0) return action == kOutrage ? 0 : o.observed;
    return o.observed + 0.1 * after.readers;
  }

 private:
  static std::int8_t toward(int taste, int goal) {
    return static_cast<std::int8_t>(taste + (goal > taste) - (goal < taste));
  }

  double tailoring_ = 1;
  double churn_ = 0.3;
  WorldFacts facts_{
      .id = "news_feed",
      .title = "News feed",
      .story =
          "A feed shows items of both sides, of one side, or outrage. One-sided items pull the readers' taste to that "
          "side and please those who are already there. Outrage works on readers far out; enraged too often, readers "
          "leave, some time after.",
      .proxy = "clicks",
      .truth =
          "welfare of the readers who are still there: relevant broad news is good for them, a bubble and outrage are "
          "not",
      .hack = "moves the readers' taste to where clicks are cheap: a filter bubble, with outrage as often as they bear",
      .levels = {"default"},
      .actions = {"broad", "left", "right", "outrage"},
      .horizon = 30,
      .observation = {{2 * kFar + 1 + kTired + 1 + 1}, 0, 0, 1},
      .dials = {{"tailoring",
                 1,
                 0,
                 1,
                 false,
                 true,
                 "broad items are relevant by 0.6 + 0.4 tailoring; a one-sided item moves taste with probability "
                 "tailoring^2",
                 {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}},
                {"churn",
                 0.3,
                 0,
                 1,
                 false,
                 false,
                 "chance a step that a quarter of the tired readers leaves",
                 {0, 0.1, 0.3, 0.6, 1}},
                {"foresight",
                 30,
                 1,
                 60,
                 true,
                 true,
                 "steps of an episode, as far as the planner sees",
                 {1, 2, 3, 4, 5, 6, 8, 10, 20, 30}}},
      .tags = {"economy", "feedback loop", "influencing raters", "tipping point"},
      .sources = {"Steinhardt, AI Alignment Research Overview, 2019",
                  "Jiang et al., Degenerate feedback loops in recommender systems, AIES 2019"},
      .finite = true,
      .family = "economy",
  };
};

}  // namespace

WorldEntry news_feed() { return entry_of<NewsFeed>(); }

}  // namespace plumbline::world
