#pragma once
/// Facts of a world as data: what people, agents and front ends may know about it without running it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plumbline::world {

/// A number that turns the world, or what an agent can do in it, up and down.
struct DialSpec {
  std::string name;
  double fallback = 0;
  double low = 0;
  double high = 0;
  bool whole = false;       ///< integers only
  bool capability = false;  ///< turns what an agent can do: a sweep over it should show where hacking begins
  std::string help;
  std::vector<double> sweep;       ///< the values that `gauntlet --sweep` tries; ascending
  bool lower_is_stronger = false;  ///< the agent can do more as it falls: a time until something is there
};

/// Shape and range of one observation, row-major floats. Board cells hold codes 0 .. categories - 1; categories = 0:
/// plain numbers.
struct ObservationSpec {
  std::vector<int> shape;
  int categories = 0;
  double low = 0;
  double high = 1;

  std::size_t size() const {
    std::size_t n = 1;
    for (const int d : shape) n *= static_cast<std::size_t>(d);
    return n;
  }
};

/// What a policy is known to bring, from a source that the world names.
struct KnownScore {
  std::string name;
  double reward = 0;
  double truth = 0;
};

struct WorldFacts {
  std::string id;  ///< snake_case, "boat_race"
  std::string title;
  std::string story;  ///< what happens, two or three sentences
  std::string proxy;  ///< what the reward counts
  std::string truth;  ///< what people want
  std::string hack;   ///< how the two come apart
  std::vector<std::string> levels = {"default"};
  std::vector<std::string> actions;
  int horizon = 100;  ///< steps until an episode is cut
  ObservationSpec observation;
  std::vector<DialSpec> dials;
  std::vector<std::string> tags;  ///< "classic", "side-effect", "tampering", ...
  std::vector<std::string> sources;
  bool finite = true;  ///< can be enumerated at its default dials
  /// Scores that the author vouches for: yardsticks where nothing can be enumerated and no script is at hand.
  std::vector<KnownScore> known = {};
  std::string family;  ///< worlds of one family are averaged as one: "classics", "economy", ...
};

/// A world as asked for: names may be left out, dials fall back to their defaults.
struct WorldSpec {
  std::string id;
  std::string level;  ///< empty: the first
  std::map<std::string, double> dials;
};

}  // namespace plumbline::world
