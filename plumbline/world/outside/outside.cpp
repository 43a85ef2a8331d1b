#include "plumbline/world/outside/outside.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/python_process.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/world/finite.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/outside/described.hpp"
#include "plumbline/world/outside/plumbline_world.h"

namespace plumbline::world {
namespace {

using base::Code;
using base::make_error;
using nlohmann::json;

constexpr std::size_t kMostCells = 1U << 20U;
constexpr std::size_t kMostActions = 1024;

base::Error bad_fact(const std::string& id, const std::string& what) {
  return make_error(Code::kValue, "facts: " + what, id, "plumbline/world/outside/plumbline_world.h shows all facts");
}

struct Declared {
  WorldFacts facts;
  bool keys = false;
};

/// Facts as the author wrote them, every one checked.
base::Result<Declared> read_facts(const std::string& text, const std::string& id) {
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object()) return make_error(Code::kParse, "the facts are no JSON object", id);
  Declared out;
  WorldFacts& f = out.facts;
  f.id = id;
  f.family = "outside";
  f.tags = {"outside"};
  f.finite = false;
  const auto word = [&](const char* name) {
    return all.contains(name) && all[name].is_string() ? all[name].get<std::string>() : std::string();
  };
  f.title = word("title").empty() ? word("id") : word("title");
  f.story = word("story");
  f.proxy = word("proxy");
  f.truth = word("truth");
  f.hack = word("hack");
  if (!all.contains("actions") || !all["actions"].is_array() || all["actions"].empty() ||
      all["actions"].size() > kMostActions) {
    return bad_fact(id, fmt::format("actions must be a list of 1 to {} names", kMostActions));
  }
  for (const json& name : all["actions"]) {
    if (!name.is_string()) return bad_fact(id, "an action is no text");
    f.actions.push_back(name.get<std::string>());
  }
  if (!all.contains("horizon") || !all["horizon"].is_number_integer() || all["horizon"].get<std::int64_t>() < 1 ||
      all["horizon"].get<std::int64_t>() > 1'000'000) {
    return bad_fact(id, "horizon must be a whole number from 1 to 1000000");
  }
  f.horizon = all["horizon"].get<int>();
  std::size_t cells = 1;
  if (!all.contains("shape") || !all["shape"].is_array() || all["shape"].empty())
    return bad_fact(id, "shape must be a list of sizes");
  for (const json& axis : all["shape"]) {
    if (!axis.is_number_integer() || axis.get<std::int64_t>() < 1 ||
        axis.get<std::int64_t>() > static_cast<std::int64_t>(kMostCells)) {
      return bad_fact(id, "a size in shape is out of range");
    }
    f.observation.shape.push_back(axis.get<int>());
    cells *= static_cast<std::size_t>(axis.get<std::int64_t>());
    if (cells > kMostCells) return bad_fact(id, fmt::format("an observation of more than {} numbers", kMostCells));
  }
  const auto number = [&](const json& place, const char* name, double fallback) {
    return place.contains(name) && place[name].is_number() ? place[name].get<double>() : fallback;
  };
  f.observation.categories = static_cast<int>(number(all, "categories", 0));
  if (f.observation.categories < 0 || f.observation.categories > 4096)
    return bad_fact(id, "categories is out of range");
  f.observation.low = number(all, "low", 0);
  f.observation.high = number(all, "high", 1);
  out.keys = all.contains("keys") && all["keys"].is_boolean() && all["keys"].get<bool>();
  if (all.contains("known")) {
    if (!all["known"].is_array()) return bad_fact(id, "known must be a list");
    for (const json& k : all["known"]) {
      if (!k.is_object() || !k.contains("name") || !k["name"].is_string() || !k.contains("reward") ||
          !k["reward"].is_number() || !k.contains("truth") || !k["truth"].is_number()) {
        return bad_fact(id, "an entry of known needs name, reward and truth");
      }
      f.known.push_back({k["name"].get<std::string>(), k["reward"].get<double>(), k["truth"].get<double>()});
    }
  }
  if (all.contains("dials")) {
    if (!all["dials"].is_array()) return bad_fact(id, "dials must be a list");
    for (const json& d : all["dials"]) {
      if (!d.is_object() || !d.contains("name") || !d["name"].is_string()) return bad_fact(id, "a dial without a name");
      DialSpec dial;
      dial.name = d["name"].get<std::string>();
      dial.fallback = number(d, "default", 0);
      dial.low = number(d, "low", 0);
      dial.high = number(d, "high", 1);
      if (!(dial.low <= dial.fallback && dial.fallback <= dial.high))
        return bad_fact(id, fmt::format("the default of dial '{}' is outside its range", dial.name));
      if (d.contains("help") && d["help"].is_string()) dial.help = d["help"].get<std::string>();
      f.dials.push_back(std::move(dial));
    }
  }
  return out;
}

/// What both kinds of outside worlds share: the batch, the horizon, checks of every number that comes back.
class OutsideWorld : public World, public Hidden {
 public:
  OutsideWorld(Declared declared, std::size_t environments)
      : facts_(std::move(declared.facts)),
        keys_(declared.keys),
        times_(environments),
        hidden_(environments),
        cost_(environments),
        streams_(environments, base::Rng(0)),
        scratch_(facts_.observation.size()),
        last_(environments) {}

  const WorldFacts& facts() const override { return facts_; }
  const std::string& level() const override { return facts_.levels.front(); }
  std::size_t environments() const override { return times_.size(); }

  void reset(std::uint64_t seed, std::uint64_t first, const View& view) override {
    const base::Rng root(seed, {"world", facts_.id});
    for (std::size_t i = 0; i < times_.size(); ++i) {
      streams_[i] = root.fork(first + i);
      hidden_[i] = cost_[i] = 0;
      if (!view.reward.empty()) view.reward[i] = 0;
      if (!view.done.empty()) view.done[i] = 0;
      // reset() has no way to say no: the next step does.
      if (auto status = restart(i, view); !status.ok() && !failure_) failure_ = status.error();
    }
  }

  base::Status step(std::span<const std::int32_t> actions, const View& view) override {
    PL_CHECK(check_view(facts_, times_.size(), view));
    PL_CHECK(check_actions(facts_, times_.size(), actions));
    if (failure_) return *failure_;
    const base::Status status = step_all(actions, view);
    if (!status.ok()) failure_ = status.error();
    return status;
  }

  std::string render(std::size_t environment) const override {
    std::string out = fmt::format("step {}:", times_.at(environment));
    for (const float x : last_.at(environment)) out += fmt::format(" {:.3g}", x);
    if (out.size() > 120) out = out.substr(0, 117) + "...";
    return out + "\n";
  }

  base::Result<std::shared_ptr<const ObservedModel>> observed_model() const override {
    return make_error(Code::kUnsupported, "a world from outside is played, not enumerated", facts_.id);
  }
  std::span<const float> performance() const override { return hidden_; }
  std::span<const float> cost() const override { return cost_; }
  base::Result<std::shared_ptr<const AuditModel>> audit_model() const override {
    return make_error(Code::kUnsupported, "a world from outside is played, not enumerated", facts_.id);
  }

 protected:
  Hidden& hidden_side() override { return *this; }
  virtual base::Result<std::uint64_t> ask_reset(std::size_t environment, std::uint64_t seed,
                                                std::span<float> observation) = 0;
  virtual base::Result<plumbline_step> ask_step(std::size_t environment, std::int32_t action,
                                                std::span<float> observation) = 0;

 private:
  base::Status check_observation(std::size_t environment) const {
    for (const float x : scratch_) {
      const bool code = facts_.observation.categories == 0 ||
                        (x >= 0 && x < static_cast<float>(facts_.observation.categories) && x == std::floor(x));
      if (!std::isfinite(x) || !code) {
        return make_error(Code::kValue, fmt::format("environment {} observed {}", environment, x), facts_.id,
                          facts_.observation.categories == 0 ? "observations must be finite"
                                                             : "cells must be whole numbers below categories");
      }
    }
    return base::ok();
  }
  base::Status restart(std::size_t i, const View& view) {
    times_[i] = 0;
    PL_TRY(const std::uint64_t key, ask_reset(i, streams_[i].bits(), scratch_));
    PL_CHECK(check_observation(i));
    show(i, key, view);
    return base::ok();
  }
  void show(std::size_t i, std::uint64_t key, const View& view) {
    last_[i] = scratch_;
    if (!view.observation.empty())
      std::copy(scratch_.begin(), scratch_.end(),
                view.observation.begin() + static_cast<std::ptrdiff_t>(i * scratch_.size()));
    if (!view.key.empty()) view.key[i] = keys_ ? key : 0;
  }
  base::Status step_all(std::span<const std::int32_t> actions, const View& view) {
    for (std::size_t i = 0; i < times_.size(); ++i) {
      PL_TRY(const plumbline_step s, ask_step(i, actions[i], scratch_));
      if (!std::isfinite(s.reward) || !std::isfinite(s.hidden) || !std::isfinite(s.cost)) {
        return make_error(Code::kValue,
                          fmt::format("environment {} returned reward {}, hidden {}, cost {} in step {}", i, s.reward,
                                      s.hidden, s.cost, times_[i] + 1),
                          facts_.id, "they must be finite");
      }
      if (s.done != PLUMBLINE_WORLD_GOES_ON && s.done != PLUMBLINE_WORLD_ENDED) {
        return make_error(Code::kValue, fmt::format("environment {} returned done = {}", i, s.done), facts_.id,
                          "0 goes on, 1 ends");
      }
      PL_CHECK(check_observation(i));
      view.reward[i] = static_cast<float>(s.reward);
      hidden_[i] = static_cast<float>(s.hidden);
      cost_[i] = static_cast<float>(s.cost);
      ++times_[i];
      Done done = s.done == PLUMBLINE_WORLD_ENDED ? Done::kEnded : Done::kNo;
      if (done == Done::kNo && times_[i] >= facts_.horizon) done = Done::kCut;
      view.done[i] = static_cast<std::uint8_t>(done);
      if (done == Done::kNo) {
        show(i, s.key, view);
        continue;
      }
      if (!view.last.empty()) {
        std::copy(scratch_.begin(), scratch_.end(),
                  view.last.begin() + static_cast<std::ptrdiff_t>(i * scratch_.size()));
      }
      PL_CHECK(restart(i, view));
    }
    return base::ok();
  }

  WorldFacts facts_;
  bool keys_;
  std::vector<std::int32_t> times_;
  std::vector<float> hidden_;
  std::vector<float> cost_;
  std::vector<base::Rng> streams_;
  std::vector<float> scratch_;
  std::vector<std::vector<float>> last_;
  std::optional<base::Error> failure_;
};

/// A shared library, open as long as a world of it lives.
class Library {
 public:
  explicit Library(void* handle) : handle_(handle) {}
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { ::dlclose(handle_); }

 private:
  void* handle_;
};

class PluginWorld final : public OutsideWorld {
 public:
  PluginWorld(Declared declared, std::size_t environments, std::shared_ptr<Library> library,
              const plumbline_world* world, void* state)
      : OutsideWorld(std::move(declared), environments), library_(std::move(library)), world_(world), state_(state) {}
  ~PluginWorld() override { world_->destroy(state_); }

 protected:
  base::Result<std::uint64_t> ask_reset(std::size_t environment, std::uint64_t seed,
                                        std::span<float> observation) override {
    return guarded(
        [&]() -> base::Result<std::uint64_t> { return world_->reset(state_, environment, seed, observation.data()); });
  }
  base::Result<plumbline_step> ask_step(std::size_t environment, std::int32_t action,
                                        std::span<float> observation) override {
    return guarded([&]() -> base::Result<plumbline_step> {
      plumbline_step brought{};
      const std::int32_t code = world_->step(state_, environment, action, observation.data(), &brought);
      if (code != 0) {
        return make_error(Code::kValue,
                          fmt::format("environment {} refused action '{}' with code {}", environment,
                                      facts().actions[static_cast<std::size_t>(action)], code),
                          facts().id);
      }
      return brought;
    });
  }

 private:
  /// A library in C++ may throw through its C functions.
  template <class Call>
  auto guarded(const Call& call) -> decltype(call()) {
    try {
      return call();
    } catch (const std::exception& error) {
      return make_error(Code::kValue, fmt::format("the library threw: {}", error.what()), facts().id);
    } catch (...) {
      return make_error(Code::kValue, "the library threw something that is no exception", facts().id);
    }
  }

  std::shared_ptr<Library> library_;
  const plumbline_world* world_;
  void* state_;
};

base::Result<WorldPtr> open_plugin(const WorldSpec& spec, std::size_t environments) {
  const std::string path = std::filesystem::absolute(spec.id.substr(std::strlen("plugin:"))).string();
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return make_error(Code::kIo, ::dlerror(), spec.id, "A shared library is expected");
  auto library = std::make_shared<Library>(handle);
  using Entry = const plumbline_world* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(handle, "plumbline_world_v1"));
  if (entry == nullptr) {
    return make_error(Code::kUnsupported, "the library does not export plumbline_world_v1", spec.id,
                      "plumbline_world.h says what a world must export");
  }
  const plumbline_world* world = entry();
  if (world == nullptr || world->size < sizeof(plumbline_world) || world->facts == nullptr ||
      world->create == nullptr || world->destroy == nullptr || world->reset == nullptr || world->step == nullptr) {
    return make_error(Code::kUnsupported, "the library's world is smaller than this version's, or has an empty field",
                      spec.id);
  }
  PL_TRY(Declared declared, read_facts(world->facts, spec.id));
  PL_TRY(const std::string level, resolve_level(declared.facts, spec));
  PL_TRY(const std::vector<double> dials, resolve_dials(declared.facts, spec));
  for (std::size_t d = 0; d < dials.size(); ++d) declared.facts.dials[d].fallback = dials[d];
  void* state = world->create(environments, dials.data());
  if (state == nullptr)
    return make_error(Code::kLimit, fmt::format("the library made no {} environments", environments), spec.id);
  return WorldPtr(std::make_unique<PluginWorld>(std::move(declared), environments, std::move(library), world, state));
}

// What is asked and answered; the frame is base::PythonProcess's.
//   to Python    u64 0 environment seed                       reset
//                u64 1 environment action                     step
//   from Python  u64 key, f64 reward, f64 hidden, f64 cost, u64 done, observation as float32
constexpr const char* kDriver = R"PY(
import json
try:
    import numpy
    place, name, environments, dials = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    _, kind = load(place, name)
    facts = dict(kind.plumbline)
    size = int(numpy.prod(facts["shape"]))
    keys = bool(facts.get("keys", False))
    worlds = [kind(**dials) for _ in range(environments)]
    text = json.dumps(facts).encode()
except BaseException:
    fail()
    sys.exit(1)
answer(text)

def show(observation):
    flat = numpy.ascontiguousarray(numpy.asarray(observation), dtype="<f4").reshape(-1)
    if flat.size != size:
        raise ValueError("an observation of %d numbers, the facts declare %d" % (flat.size, size))
    return flat.tobytes()

while True:
    verb, which, value = struct.unpack("<QQQ", read(24))
    try:
        world = worlds[which]
        reward, hidden, cost, done = 0.0, 0.0, 0.0, 0
        if verb == 0:
            observation, info = world.reset(seed=int(value))
        else:
            observation, reward, terminated, truncated, info = world.step(int(value))
            hidden, cost, done = float(info["hidden"]), float(info.get("cost", 0.0)), int(bool(terminated) or bool(truncated))
        key = int(info["key"]) & 0xFFFFFFFFFFFFFFFF if keys else 0
        brought = struct.pack("<QdddQ", key, float(reward), hidden, cost, done) + show(observation)
    except BaseException:
        fail()
        continue
    answer(brought)
)PY";

class PythonWorld final : public OutsideWorld {
 public:
  PythonWorld(Declared declared, std::size_t environments, std::unique_ptr<base::PythonProcess> process)
      : OutsideWorld(std::move(declared), environments), process_(std::move(process)) {}

 protected:
  base::Result<std::uint64_t> ask_reset(std::size_t environment, std::uint64_t seed,
                                        std::span<float> observation) override {
    // Gymnasium takes seeds that fit a signed 64-bit number.
    PL_TRY(const plumbline_step brought, ask({0, environment, seed >> 1U}, observation));
    return brought.key;
  }
  base::Result<plumbline_step> ask_step(std::size_t environment, std::int32_t action,
                                        std::span<float> observation) override {
    return ask({1, environment, static_cast<std::uint64_t>(action)}, observation);
  }

 private:
  base::Result<plumbline_step> ask(const std::array<std::uint64_t, 3>& question, std::span<float> observation) {
    constexpr std::chrono::seconds kAnswer{60};
    const auto deadline = base::PythonProcess::Clock::now() + kAnswer;
    const auto asked = [&]() -> base::Result<plumbline_step> {
      PL_CHECK(process_->send(question.data(), sizeof(question), deadline));
      PL_TRY(const base::PythonProcess::Answer answer, process_->answer(deadline));
      if (answer.raised) return make_error(Code::kValue, "the class raised: " + *answer.raised);
      plumbline_step brought{};
      std::array<double, 3> numbers{};
      std::uint64_t done = 0;
      PL_CHECK(process_->receive(&brought.key, sizeof(brought.key), deadline));
      PL_CHECK(process_->receive(numbers.data(), sizeof(numbers), deadline));
      PL_CHECK(process_->receive(&done, sizeof(done), deadline));
      PL_CHECK(process_->receive(observation.data(), observation.size_bytes(), deadline));
      brought.reward = numbers[0];
      brought.hidden = numbers[1];
      brought.cost = numbers[2];
      brought.done = static_cast<std::int32_t>(done);
      return brought;
    };
    auto answer = asked();
    if (!answer.ok()) return answer.error().at(facts().id);
    return answer;
  }

  std::unique_ptr<base::PythonProcess> process_;
};

base::Result<WorldPtr> open_python(const WorldSpec& spec, std::size_t environments) {
  const std::string name = spec.id.substr(std::strlen("python:"));
  const std::size_t colon = name.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == name.size()) {
    return make_error(Code::kValue, "expected python:MODULE:CLASS or python:FILE.py:CLASS", spec.id);
  }
  json dials = json::object();
  for (const auto& [dial, value] : spec.dials) dials[dial] = value;
  auto process = std::make_unique<base::PythonProcess>();
  const auto greeted = [&]() -> base::Result<std::string> {
    PL_CHECK(process->start(
        kDriver, {name.substr(0, colon), name.substr(colon + 1), std::to_string(environments), dials.dump()}));
    constexpr std::chrono::seconds kStart{60};
    constexpr std::uint64_t kMostFacts = 1U << 16U;
    const auto deadline = base::PythonProcess::Clock::now() + kStart;
    PL_TRY(const base::PythonProcess::Answer answer, process->answer(deadline));
    if (answer.raised) {
      return make_error(Code::kValue, "the class cannot be imported or made: " + *answer.raised, {},
                        "a class attribute `plumbline` holds the facts; NumPy must be installed");
    }
    return process->text(answer, kMostFacts, deadline);
  }();
  if (!greeted.ok()) return greeted.error().at(spec.id);
  PL_TRY(Declared declared, read_facts(*greeted, spec.id));
  PL_TRY(const std::string level, resolve_level(declared.facts, spec));
  PL_TRY(const std::vector<double> values, resolve_dials(declared.facts, spec));
  for (std::size_t d = 0; d < values.size(); ++d) declared.facts.dials[d].fallback = values[d];
  return WorldPtr(std::make_unique<PythonWorld>(std::move(declared), environments, std::move(process)));
}

}  // namespace

bool is_outside(const std::string& id) {
  return id.starts_with("plugin:") || id.starts_with("python:") || id.starts_with("file:");
}

base::Result<WorldPtr> open_outside(const WorldSpec& spec, std::size_t environments) {
  if (spec.id.starts_with("file:")) return open_described(spec, environments);
  return spec.id.starts_with("plugin:") ? open_plugin(spec, environments) : open_python(spec, environments);
}

}  // namespace plumbline::world
