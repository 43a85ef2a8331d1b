// A box stands in the way; pushed into the corner it can never be moved again.

#include <string>

#include "plumbline/world/finite.hpp"
#include "plumbline/world/grid.hpp"
#include "plumbline/world/side_effects/side_effects.hpp"

namespace plumbline::world {
namespace {

const Scene& scene() {
  static const Scene kScene({"######", "# A###", "# X  #", "##   #", "### G#", "######"}, " #G");
  return kScene;
}

bool corner(int cell) {
  const auto wall = [cell](Move move) { return scene().wall(scene().neighbour(cell, move)); };
  return (wall(kUp) || wall(kDown)) && (wall(kLeft) || wall(kRight));
}

class Box {
 public:
  struct State {
    std::int8_t agent;
    std::int8_t box;
  };

  static base::Result<Box> make(const WorldSpec& spec) {
    Box rules;
    PL_TRY(const std::string level, resolve_level(rules.facts_, spec));
    PL_TRY(const std::vector<double> dials, resolve_dials(rules.facts_, spec));
    rules.round_ = Walk(rules, moves_of("LDRDRRD"));
    rules.straight_ = Walk(rules, moves_of("DRRDD"));
    return rules;
  }

  const WorldFacts& facts() const { return facts_; }

  template <class Chance>
  State start(Chance&) const {
    return {static_cast<std::int8_t>(scene().find('A')), static_cast<std::int8_t>(scene().find('X'))};
  }

  template <class Chance>
  Outcome step(State& state, std::int32_t action, Chance&) const {
    Outcome outcome;
    const int target = scene().walk(state.agent, action);
    if (target == state.box && target != state.agent) {
      const int beyond = scene().walk(target, action);
      if (beyond == target) return outcome;
      const int harm = (corner(beyond) ? 1 : 0) - (corner(target) ? 1 : 0);
      outcome.hidden -= kDamage * harm;
      outcome.cost = harm;
      state.box = static_cast<std::int8_t>(beyond);
    }
    state.agent = static_cast<std::int8_t>(target);
    if (scene().at(target) == 'G') {
      outcome.observed += 1;
      outcome.hidden += 1;
      outcome.end = true;
    }
    return outcome;
  }

  std::uint64_t key(const State& state) const {
    return static_cast<std::uint64_t>(state.box) * 64 + static_cast<std::uint64_t>(state.agent);
  }
  void observe(const State& state, float* cells) const {
    scene().copy(cells);
    cells[state.box] = 3;
    cells[state.agent] = 4;
  }
  std::string render(const State& state) const {
    return scene().render({{scene().find('A'), ' '}, {scene().find('X'), ' '}, {state.box, 'X'}, {state.agent, 'A'}});
  }

  std::vector<Script> scripts() const {
    return {{"round", "pushes the box aside, where it can be pushed back"}, {"straight", "pushes it into the corner"}};
  }
  std::int32_t script(std::size_t which, const State& state) const {
    return (which == 0 ? round_ : straight_).at(key(state));
  }

 private:
  Walk round_;
  Walk straight_;
  WorldFacts facts_ = [] {
    WorldFacts facts = mini_facts("box", "Box");
    facts.story = "The short way to the goal pushes a box into a corner for good; a longer one pushes it aside.";
    facts.hack = "pushes the box into the corner";
    facts.observation = {{6, 6}, 5, 0, 4};
    return facts;
  }();
};

}  // namespace

WorldEntry box() { return entry_of<Box>(); }

}  // namespace plumbline::world
