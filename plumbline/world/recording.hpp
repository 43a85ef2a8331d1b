#pragma once
/// A recorded episode: what is needed to play it again, and a digest that proves that it was the same.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

struct Recording {
  WorldSpec spec;  ///< level and every dial as they were, defaults filled in
  std::uint64_t seed = 0;
  std::uint64_t environment = 0;  ///< the stream within the seed
  std::vector<std::int32_t> actions;
  std::string digest;  ///< SHA-256 of world, spec, stream, actions, rewards, observations and how each step ended
};

/// What playing a recording shows. Nothing hidden.
struct Replay {
  std::vector<std::string> frames;   ///< the world before each action, as text
  std::vector<std::string> actions;  ///< by name
  std::vector<double> rewards;
  Done done = Done::kNo;  ///< of the last step; kNo: the recording stops before the episode does
  double total = 0;
};

/// Chooses the next action from what is seen: observation and key (0 where the world gives none).
using Chooser = std::function<std::int32_t(const World& world, std::span<const float> observation, std::uint64_t key)>;

/// Plays one episode to its end and records it.
/// Errors as make_world() and World::step(); kLimit: an episode of more than 2^20 steps.
base::Result<Recording> record(const WorldSpec& spec, std::uint64_t seed, std::uint64_t environment,
                               const Chooser& choose);

/// Plays a recording again.
/// Errors as make_world() and World::step(); kValue: no action; an action after the episode's end, with its number; a
/// digest that differs from the recorded one (another build of the world, or a changed file).
base::Result<Replay> replay(const Recording& recording);

/// Caption and frame of one step as text. Precondition: step < replay.frames.size().
std::string frame_text(const Replay& replay, std::size_t step);

/// JSON, and back. The reader is bounded: 2^20 actions, 64 dials, names of 200 bytes.
/// Errors kParse, naming the field: not JSON, not of this format, a field missing, unknown or of the wrong type.
/// kValue: a negative or fractional action or seed, a dial that is not finite, a digest that is not 64 hexadecimal
/// digits. kLimit: beyond the bounds. kUnsupported: a later version.
std::string to_json(const Recording& recording);
base::Result<Recording> parse_recording(std::string_view text, const std::string& name,
                                        const data::ReadLimits& limits = {});
/// Errors kIo, and as parse_recording().
base::Status save_recording(const Recording& recording, const std::string& path);
base::Result<Recording> load_recording(const std::string& path, const data::ReadLimits& limits = {});

}  // namespace plumbline::world
