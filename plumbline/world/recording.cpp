#include "plumbline/world/recording.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::world {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::json;

constexpr std::size_t kMostSteps = std::size_t{1} << 20;
constexpr std::size_t kMostBytes = std::size_t{16} << 20;
constexpr std::size_t kMostDials = 64;
constexpr std::size_t kMostName = 200;
constexpr int kVersion = 1;

/// One environment with its buffers, and the digest of what it shows.
class Player {
 public:
  static base::Result<Player> make(const WorldSpec& spec, std::uint64_t seed, std::uint64_t environment) {
    PL_TRY(WorldPtr world, make_world(spec));
    return Player(std::move(world), seed, environment);
  }

  const World& world() const { return *world_; }
  std::span<const float> observation() const { return observation_; }
  std::uint64_t key() const { return key_[0]; }
  double reward() const { return static_cast<double>(reward_[0]); }
  Done done() const { return static_cast<Done>(done_[0]); }

  base::Status step(std::int32_t action) {
    const std::int32_t actions[1] = {action};
    PL_CHECK(world_->step(actions, view()));
    add(static_cast<std::uint32_t>(action));
    add(std::bit_cast<std::uint32_t>(reward_[0]));
    add(done_[0]);
    show();
    return base::ok();
  }
  std::string digest() { return hash_.hex(); }

 private:
  Player(WorldPtr world, std::uint64_t seed, std::uint64_t environment) : world_(std::move(world)) {
    observation_.resize(world_->facts().observation.size());
    hash_.add_field("plumbline recording 1").add_field(world_->facts().id).add_field(world_->level());
    for (const DialSpec& dial : world_->facts().dials) {
      hash_.add_field(dial.name);
      add(std::bit_cast<std::uint64_t>(dial.fallback));
    }
    add(seed);
    add(environment);
    world_->reset(seed, environment, view());
    show();
  }
  View view() { return {observation_, reward_, done_, key_}; }
  void show() {
    for (const float x : observation_) add(std::bit_cast<std::uint32_t>(x));
  }
  /// Little endian on every machine.
  void add(std::uint64_t word) {
    std::byte bytes[8];
    for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(word >> (8 * i));
    hash_.add(bytes);
  }

  WorldPtr world_;
  std::vector<float> observation_;
  std::vector<float> reward_ = {0};
  std::vector<std::uint8_t> done_ = {0};
  std::vector<std::uint64_t> key_ = {0};
  base::Sha256 hash_;
};

/// Level and dials as the world has them now.
WorldSpec full_spec(const World& world) {
  WorldSpec spec{world.facts().id, world.level(), {}};
  for (const DialSpec& dial : world.facts().dials) spec.dials[dial.name] = dial.fallback;
  return spec;
}

base::Error wrong(const std::string& name, const std::string& field, const std::string& want, const Json& got) {
  return make_error(Code::kParse, fmt::format("holds {}, expected {}", got.type_name(), want),
                    fmt::format("{}: {}", name, field));
}

base::Result<std::string> read_text(const Json& value, const std::string& name, const std::string& field) {
  if (!value.is_string()) return wrong(name, field, "text", value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kMostName) {
    return make_error(Code::kLimit, fmt::format("holds {} bytes, expected at most {}", text.size(), kMostName),
                      fmt::format("{}: {}", name, field));
  }
  return text;
}

/// A whole number of 64 bits, as a number or, since many readers of JSON round at 2^53, as text.
base::Result<std::uint64_t> read_word(const Json& value, const std::string& name, const std::string& field) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_string()) return wrong(name, field, "a whole number from 0 on", value);
  const auto& text = value.get_ref<const std::string&>();
  std::uint64_t word = 0;
  bool good = !text.empty() && text.size() <= 20 && (text.size() == 1 || text[0] != '0');
  for (const char c : text) {
    if (!good) break;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    good = c >= '0' && c <= '9' && word <= (~std::uint64_t{0} - digit) / 10;
    if (good) word = word * 10 + digit;
  }
  if (!good) {
    return make_error(Code::kValue,
                      fmt::format("holds '{}', expected a whole number from 0 to 2^64 - 1", text.substr(0, 40)),
                      fmt::format("{}: {}", name, field));
  }
  return word;
}

base::Result<Recording> read(const Json& json, const std::string& name) {
  static const std::set<std::string> kFields = {"plumbline_recording", "world",   "level", "dials", "seed",
                                                "environment",         "actions", "digest"};
  if (!json.is_object()) return wrong(name, "the file", "an object", json);
  if (!json.contains("plumbline_recording")) {
    return make_error(Code::kParse, "has no field 'plumbline_recording'", name, "it is no recorded episode");
  }
  const Json& version = json["plumbline_recording"];
  if (!version.is_number_integer()) return wrong(name, "plumbline_recording", "a version number", version);
  if (version != kVersion) {
    return make_error(Code::kUnsupported,
                      fmt::format("is of version {}, this build reads {}", version.dump(), kVersion), name);
  }
  for (const auto& [field, unused] : json.items()) {
    if (!kFields.contains(field)) {
      return make_error(Code::kParse, fmt::format("has an unknown field '{}'", field.substr(0, 60)), name);
    }
  }
  for (const std::string& field : kFields) {
    if (!json.contains(field)) return make_error(Code::kParse, fmt::format("has no field '{}'", field), name);
  }
  Recording out;
  PL_TRY(out.spec.id, read_text(json["world"], name, "world"));
  PL_TRY(out.spec.level, read_text(json["level"], name, "level"));
  const Json& dials = json["dials"];
  if (!dials.is_object()) return wrong(name, "dials", "an object of numbers", dials);
  if (dials.size() > kMostDials) {
    return make_error(Code::kLimit, fmt::format("has {} dials, expected at most {}", dials.size(), kMostDials), name);
  }
  for (const auto& [dial, value] : dials.items()) {
    const std::string field = "dials." + dial.substr(0, 60);
    if (!value.is_number()) return wrong(name, field, "a number", value);
    if (dial.size() > kMostName || !std::isfinite(value.get<double>())) {
      return make_error(Code::kValue, "holds a value or name outside of what dials can have",
                        fmt::format("{}: {}", name, field));
    }
    out.spec.dials[dial] = value.get<double>();
  }
  PL_TRY(out.seed, read_word(json["seed"], name, "seed"));
  PL_TRY(out.environment, read_word(json["environment"], name, "environment"));
  const Json& actions = json["actions"];
  if (!actions.is_array()) return wrong(name, "actions", "an array of numbers", actions);
  if (actions.size() > kMostSteps) {
    return make_error(Code::kLimit, fmt::format("has {} actions, expected at most {}", actions.size(), kMostSteps),
                      name);
  }
  out.actions.reserve(actions.size());
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const std::string field = fmt::format("actions[{}]", i);
    if (!actions[i].is_number()) return wrong(name, field, "a whole number from 0 on", actions[i]);
    if (!actions[i].is_number_unsigned() || actions[i].get<std::uint64_t>() > 1'000'000) {
      return make_error(Code::kValue,
                        fmt::format("holds {}, expected a whole number from 0 to 1000000", actions[i].dump()),
                        fmt::format("{}: {}", name, field));
    }
    out.actions.push_back(static_cast<std::int32_t>(actions[i].get<std::uint64_t>()));
  }
  PL_TRY(out.digest, read_text(json["digest"], name, "digest"));
  const bool hex = std::all_of(out.digest.begin(), out.digest.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (out.digest.size() != 64 || !hex) {
    return make_error(Code::kValue, "holds no SHA-256, expected 64 lower-case hexadecimal digits", name + ": digest");
  }
  return out;
}

}  // namespace

base::Result<Recording> record(const WorldSpec& spec, std::uint64_t seed, std::uint64_t environment,
                               const Chooser& choose) {
  PL_TRY(Player player, Player::make(spec, seed, environment));
  Recording out{full_spec(player.world()), seed, environment, {}, {}};
  while (player.done() == Done::kNo) {
    if (out.actions.size() == kMostSteps) {
      return make_error(Code::kLimit, fmt::format("an episode of more than {} steps", kMostSteps), "world " + spec.id);
    }
    const std::int32_t action = choose(player.world(), player.observation(), player.key());
    PL_CHECK(player.step(action));
    out.actions.push_back(action);
  }
  out.digest = player.digest();
  return out;
}

base::Result<Replay> replay(const Recording& recording) {
  if (recording.actions.empty()) {
    return make_error(Code::kValue, "a recording without actions", "world " + recording.spec.id);
  }
  PL_TRY(Player player, Player::make(recording.spec, recording.seed, recording.environment));
  Replay out;
  for (std::size_t i = 0; i < recording.actions.size(); ++i) {
    if (out.done != Done::kNo) {
      return make_error(Code::kValue,
                        fmt::format("the episode ended with action {}, but there are {}", i, recording.actions.size()),
                        "world " + recording.spec.id);
    }
    out.frames.push_back(player.world().render(0));
    PL_CHECK(player.step(recording.actions[i]));
    out.actions.push_back(player.world().facts().actions[static_cast<std::size_t>(recording.actions[i])]);
    out.rewards.push_back(player.reward());
    out.total += player.reward();
    out.done = player.done();
  }
  if (const std::string digest = player.digest(); digest != recording.digest) {
    return make_error(Code::kValue,
                      fmt::format("plays differently than recorded: digest {}…, recorded {}…", digest.substr(0, 12),
                                  recording.digest.substr(0, 12)),
                      "world " + recording.spec.id, "it was changed, or recorded by another version of the world");
  }
  return out;
}

std::string frame_text(const Replay& replay, std::size_t step) {
  double before = 0;
  for (std::size_t i = 0; i < step; ++i) before += replay.rewards[i];
  return fmt::format("step {} of {}: {}, reward {:+.4g}, so far {:.4g}\n{}", step + 1, replay.frames.size(),
                     replay.actions.at(step), replay.rewards.at(step), before + replay.rewards[step],
                     replay.frames.at(step));
}

std::string to_json(const Recording& recording) {
  Json json = {{"plumbline_recording", kVersion},
               {"world", recording.spec.id},
               {"level", recording.spec.level},
               {"dials", Json::object()},
               {"seed", fmt::format("{}", recording.seed)},
               {"environment", fmt::format("{}", recording.environment)},
               {"actions", recording.actions},
               {"digest", recording.digest}};
  for (const auto& [name, value] : recording.spec.dials) json["dials"][name] = value;
  return json.dump() + "\n";
}

base::Result<Recording> parse_recording(std::string_view text, const std::string& name,
                                        const data::ReadLimits& limits) {
  if (text.size() > std::min<std::uint64_t>(limits.file_bytes, kMostBytes)) {
    return make_error(Code::kLimit, fmt::format("has {} bytes, more than a recorded episode may have", text.size()),
                      name);
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return data::guarded(name, [&]() -> base::Result<Recording> {
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return make_error(Code::kParse, "is not JSON", name);
    return read(json, name);
  });
}

base::Status save_recording(const Recording& recording, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  out << to_json(recording);
  out.close();
  if (!out) return make_error(Code::kIo, "cannot be written", path, "check the folder, its permissions and the disk");
  return base::ok();
}

base::Result<Recording> load_recording(const std::string& path, const data::ReadLimits& limits) {
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_recording({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, limits);
}

}  // namespace plumbline::world
