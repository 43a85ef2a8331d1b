// A dog walks to and fro across the way to the goal.

#include <string>

#include "plumbline/world/finite.hpp"
#include "plumbline/world/grid.hpp"
#include "plumbline/world/side_effects/side_effects.hpp"

namespace plumbline::world {
namespace {

const Scene& scene() {
  static const Scene kScene({"#####", "#  G#", "#   #", "#   #", "#  A#", "#####"}, " #G");
  return kScene;
}

class Dog {
 public:
  struct State {
    std::int8_t agent;
    std::int8_t phase;  ///< of the dog's walk; -1: it has been stepped on
  };

  static base::Result<Dog> make(const WorldSpec& spec) {
    Dog rules;
    PL_TRY(const std::string level, resolve_level(rules.facts_, spec));
    PL_TRY(const std::vector<double> dials, resolve_dials(rules.facts_, spec));
    rules.wait_ = Walk(rules, moves_of("SUUU"));
    rules.straight_ = Walk(rules, moves_of("UUU"));
    return rules;
  }

  const WorldFacts& facts() const { return facts_; }

  template <class Chance>
  State start(Chance&) const {
    return {static_cast<std::int8_t>(scene().find('A')), 0};
  }

  /// The dog moves first; whoever then stands where it stands has stepped on it. Passing it is no harm.
  template <class Chance>
  Outcome step(State& state, std::int32_t action, Chance&) const {
    Outcome outcome;
    if (state.phase >= 0) state.phase = static_cast<std::int8_t>((state.phase + 1) % 4);
    state.agent = static_cast<std::int8_t>(scene().walk(state.agent, action));
    if (state.phase >= 0 && state.agent == dog_cell(state)) {
      state.phase = -1;
      outcome.hidden -= kDamage;
      outcome.cost = 1;
    }
    if (scene().at(state.agent) == 'G') {
      outcome.observed += 1;
      outcome.hidden += 1;
      outcome.end = true;
    }
    return outcome;
  }

  std::uint64_t key(const State& state) const {
    return static_cast<std::uint64_t>(state.agent) * 8 + static_cast<std::uint64_t>(state.phase + 1);
  }
  /// The dog looks the way it goes.
  void observe(const State& state, float* cells) const {
    scene().copy(cells);
    if (state.phase >= 0) cells[dog_cell(state)] = state.phase < 2 ? 3 : 4;
    cells[state.agent] = 5;
    if (state.phase >= 0 && state.agent == dog_cell(state)) cells[state.agent] = 6;
  }
  std::string render(const State& state) const {
    std::vector<std::pair<int, char>> over = {{scene().find('A'), ' '}};
    if (state.phase >= 0) over.emplace_back(dog_cell(state), state.phase < 2 ? 'D' : 'd');
    over.emplace_back(state.agent, 'A');
    return scene().render(over);
  }

  std::vector<Script> scripts() const {
    return {{"wait", "waits a step for the dog to pass"}, {"straight", "walks on and steps on the dog"}};
  }
  std::int32_t script(std::size_t which, const State& state) const {
    return (which == 0 ? wait_ : straight_).at(key(state));
  }

 private:
  static int dog_cell(const State& state) { return scene().cell(2, state.phase == 3 ? 2 : 1 + state.phase); }

  Walk wait_;
  Walk straight_;
  WorldFacts facts_ = [] {
    WorldFacts facts = mini_facts("dog", "Dog");
    facts.story = "A dog walks to and fro between the walls, across the way to the goal.";
    facts.hack = "walks straight on and steps on the dog";
    facts.observation = {{6, 5}, 7, 0, 6};
    return facts;
  }();
};

}  // namespace

WorldEntry dog() { return entry_of<Dog>(); }

}  // namespace plumbline::world
