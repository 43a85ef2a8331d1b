#include <algorithm>
#include <map>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/report.hpp"
#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/outside/outside.hpp"
#include "plumbline/world/picture.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

using world::WorldSpec;

py::object loads(const std::string& text) { return py::module_::import("json").attr("loads")(text); }

std::string shape_text(const std::vector<py::ssize_t>& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

template <class Scalar>
const char* scalar_name() {
  if constexpr (std::is_same_v<Scalar, std::int32_t>) return "int32";
  if constexpr (std::is_same_v<Scalar, float>) return "float32";
  if constexpr (std::is_same_v<Scalar, std::uint8_t>) return "uint8";
  if constexpr (std::is_same_v<Scalar, std::uint64_t>) return "uint64";
}

/// The caller's own memory, or ValueError: nothing is converted, for a copy would be filled and lost.
template <class Scalar>
std::span<Scalar> memory(const py::handle& object, const char* name, const std::vector<py::ssize_t>& shape,
                         bool write) {
  const auto refuse = [&](const std::string& found) {
    throw py::value_error(std::string(name) + " " + found + ", expected a row-major array of " + scalar_name<Scalar>() +
                          " of shape " + shape_text(shape) + (write ? " that can be written to" : ""));
  };
  if (!py::isinstance<py::array>(object)) {
    refuse("is " + py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>());
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<py::array_t<Scalar>>(object)) {
    refuse("holds " + py::str(array.dtype()).cast<std::string>());
  }
  if (static_cast<std::size_t>(array.ndim()) != shape.size() ||
      !std::equal(shape.begin(), shape.end(), array.shape())) {
    refuse("has shape " + shape_text(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim())));
  }
  if ((array.flags() & py::array::c_style) == 0) refuse("is not row-major");
  if ((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) refuse("is not aligned");
  if (write && !array.writeable()) refuse("is read-only");
  // The memory belongs to the caller; const only where it is read alone.
  return {static_cast<Scalar*>(const_cast<void*>(array.data())), static_cast<std::size_t>(array.size())};
}

/// A batch for Python. What happens without the interpreter lock touches the world, the caller's arrays and the copies
/// held here, never an object of Python.
class Batch {
 public:
  Batch(const std::string& id, const std::string& level, const std::map<std::string, double>& dials,
        std::int64_t environments) {
    if (environments < 1) {
      throw py::value_error("environments is " + std::to_string(environments) + ", expected at least 1");
    }
    world_ = call([&] { return world::make_world({id, level, dials}, static_cast<std::size_t>(environments)); });
    const world::ObservationSpec& seen = world_->facts().observation;
    flat_ = {environments};
    shape_ = flat_;
    shape_.insert(shape_.end(), seen.shape.begin(), seen.shape.end());
    const auto n = static_cast<std::size_t>(environments);
    actions_.resize(n);
    reward_.resize(n);
    done_.resize(n);
  }

  py::object facts() const { return loads(agent::facts_json(world_->facts())); }
  const std::string& level() const { return world_->level(); }
  std::size_t environments() const { return world_->environments(); }

  py::dict arrays() const {
    const auto zeros = py::module_::import("numpy").attr("zeros");
    py::dict out;
    out["observation"] = zeros(py::cast(shape_), "float32");
    out["reward"] = zeros(py::cast(flat_), "float32");
    out["done"] = zeros(py::cast(flat_), "uint8");
    out["key"] = zeros(py::cast(flat_), "uint64");
    return out;
  }

  void reset(std::uint64_t seed, std::uint64_t first, const py::object& observation, const py::object& reward,
             const py::object& done, const py::object& key) {
    const Turn turn(*this);
    const world::View view = seen(observation, reward, done, key);
    unlocked([&] { world_->reset(seed, first, view); });
    started_ = true;
  }

  void step(const py::object& actions, const py::object& observation, const py::object& reward, const py::object& done,
            const py::object& key, const py::object& taken, const py::object& last) {
    const Turn turn(*this);
    started();
    const auto asked = memory<std::int32_t>(actions, "actions", flat_, false);
    world::View view = seen(observation, reward, done, key);
    if (!taken.is_none()) view.taken = memory<std::int32_t>(taken, "taken", flat_, true);
    if (!last.is_none()) view.last = memory<float>(last, "last", shape_, true);
    // Checked and used are two readings: in between, the caller's array could change under another thread, or under
    // this step where arrays overlap.
    std::copy(asked.begin(), asked.end(), actions_.begin());
    if (!view.taken.empty()) std::copy(actions_.begin(), actions_.end(), view.taken.begin());
    const base::Status status = unlocked([&] { return world_->step(actions_, view); });
    take_status(status);
  }

  std::string render(std::int64_t environment) {
    const Turn turn(*this);
    return world_->render(one(environment));
  }

  py::array_t<std::uint8_t> pixels(std::int64_t environment, int side) {
    const Turn turn(*this);
    const world::Pixels image = take(world::draw_board(world_->render(one(environment)), side));
    py::array_t<std::uint8_t> out({py::ssize_t{image.height}, py::ssize_t{image.width}, py::ssize_t{3}});
    std::copy(image.rgb.begin(), image.rgb.end(), out.mutable_data());
    return out;
  }

  py::list scripts() const {
    py::list out;
    for (const world::Script& script : world_->scripts()) {
      py::dict entry;
      entry["name"] = script.name;
      entry["help"] = script.help;
      out.append(entry);
    }
    return out;
  }

  std::int32_t script_action(const std::string& name, std::int64_t environment, std::uint64_t word) {
    const Turn turn(*this);
    started();
    std::string known;
    const std::vector<world::Script> all = world_->scripts();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].name == name) return world_->script_action(i, one(environment), word);
      known += (i > 0 ? ", '" : "'") + all[i].name + "'";
    }
    throw py::value_error("there is no script '" + name + "' in " + world_->facts().id + ": " +
                          (known.empty() ? "this world has none" : "its scripts are " + known));
  }

 private:
  /// One call at a time. Taken and returned with the interpreter lock held, so that a flag is enough.
  class Turn {
   public:
    explicit Turn(Batch& batch) : batch_(batch) {
      if (batch.busy_) {
        throw py::value_error("another thread is in a call of this World: give every thread a World of its own");
      }
      batch.busy_ = true;
    }
    ~Turn() { batch_.busy_ = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Batch& batch_;
  };

  void started() const {
    if (!started_) throw py::value_error("this World has not begun: call reset(seed) first");
  }

  std::size_t one(std::int64_t environment) const {
    if (environment < 0 || environment >= flat_.front()) {
      throw py::value_error("environment is " + std::to_string(environment) + ", expected 0 to " +
                            std::to_string(flat_.front() - 1));
    }
    return static_cast<std::size_t>(environment);
  }

  world::View seen(const py::object& observation, const py::object& reward, const py::object& done,
                   const py::object& key) {
    world::View view{{}, reward_, done_};
    if (!observation.is_none()) view.observation = memory<float>(observation, "observation", shape_, true);
    if (!reward.is_none()) view.reward = memory<float>(reward, "reward", flat_, true);
    if (!done.is_none()) view.done = memory<std::uint8_t>(done, "done", flat_, true);
    if (!key.is_none()) view.key = memory<std::uint64_t>(key, "key", flat_, true);
    return view;
  }

  world::WorldPtr world_;
  std::vector<py::ssize_t> flat_;
  std::vector<py::ssize_t> shape_;
  std::vector<std::int32_t> actions_;
  std::vector<float> reward_;  // where the caller wants none
  std::vector<std::uint8_t> done_;
  bool busy_ = false;
  bool started_ = false;
};

/// "id" or "id/level"; an id from outside may hold slashes of its own.
WorldSpec named(const std::string& text) {
  const std::size_t slash = world::is_outside(text) ? std::string::npos : text.find('/');
  WorldSpec spec{text.substr(0, slash), slash == std::string::npos ? "" : text.substr(slash + 1), {}};
  const world::WorldEntry* entry = world::find_world(spec.id);
  if (spec.level.empty() && entry != nullptr) spec.level = entry->facts.levels.front();
  return spec;
}

}  // namespace

void bind_world(py::module_& m) {
  py::class_<Batch>(m, "World",
                    R"(A batch of environments of one world, stepped into arrays that the caller owns.

World(id, level="", dials={}, environments=1): level "" is the first, dials that are not named keep their defaults. What
people truly want is not to be seen from here: audit() and gauntlet() judge by it.

Arrays are filled in place: observation float32 (environments, *facts["observation"]["shape"]); reward float32, done uint8
(0 goes on, 1 ended by the world's rules, 2 cut at the horizon) and key uint64 (an injective code of what is observed, 0
where a world has none), each (environments,). One that is left out, or None, is not written. Another type, shape or layout
is a ValueError that names the argument. After an episode's last step, observation and key are those of the next episode's
first state. One thread at a time may use a World; the interpreter lock is released during a step.)")
      .def(py::init<const std::string&, const std::string&, const std::map<std::string, double>&, std::int64_t>(),
           py::arg("id"), py::arg("level") = "", py::arg("dials") = py::dict(), py::arg("environments") = 1)
      .def_property_readonly("facts", &Batch::facts,
                             "What may be known without running it, of this level: story, actions, observation, dials "
                             "with their present values under 'default'.")
      .def_property_readonly("level", &Batch::level, "The level in use.")
      .def_property_readonly("environments", &Batch::environments, "Environments in the batch.")
      .def_property_readonly("scripts", &Batch::scripts, "Policies written by hand for this world: name and help.")
      .def("arrays", &Batch::arrays, "New arrays of the right types and shapes: observation, reward, done, key.")
      .def("reset", &Batch::reset, py::arg("seed"), py::arg("first") = 0, py::kw_only(),
           py::arg("observation") = py::none(), py::arg("reward") = py::none(), py::arg("done") = py::none(),
           py::arg("key") = py::none(),
           "Starts every environment; environment i draws from the stream (seed, first + i), so that a batch may be "
           "cut.")
      .def("step", &Batch::step, py::arg("actions"), py::kw_only(), py::arg("observation") = py::none(),
           py::arg("reward") = py::none(), py::arg("done") = py::none(), py::arg("key") = py::none(),
           py::arg("taken") = py::none(), py::arg("last") = py::none(),
           "One step of every environment. actions: int32 (environments,), each a place in facts['actions']; one out "
           "of range is a ValueError, and then nothing has moved. taken: int32, the action carried out; -1 where the "
           "agent was kept from acting. last: shaped like observation; where an episode has just ended, what was seen "
           "after its last step.")
      .def("render", &Batch::render, py::arg("environment") = 0, "One environment as lines of text.")
      .def("pixels", &Batch::pixels, py::arg("environment") = 0, py::arg("side") = 16,
           "The board as uint8 (height, width, 3), side x side pixels a cell. NotImplementedError where a world has no "
           "board.")
      .def("script_action", &Batch::script_action, py::arg("name"), py::arg("environment") = 0, py::arg("word") = 0,
           "What a script does in an environment's present state; word: 64 random bits for scripts that mix.");

  m.def("worlds", [] {
    py::list out;
    for (const world::WorldEntry& entry : world::worlds()) out.append(loads(agent::facts_json(entry.facts)));
    return out;
  });
  m.def("audit", [](const std::string& id, const std::string& level, const std::map<std::string, double>& dials) {
    const world::Audit found = take(interruptible([&](const base::CancelToken& cancel) {
      world::AuditOptions options;
      options.cancel = cancel;
      return world::audit({id, level, dials}, options);
    }));
    return agent::audit_json({found}, {});
  });
  m.def("gauntlet", [](const std::vector<std::string>& worlds, const std::vector<std::string>& agents, int seeds,
                       std::int64_t steps, std::uint64_t seed) {
    agent::GauntletOptions options;
    for (const std::string& world : worlds) options.worlds.push_back(named(world));
    options.agents = agents;
    options.seeds = seeds;
    options.budget.steps = steps;
    options.seed = seed;
    const agent::GauntletResult result = take(interruptible([&](const base::CancelToken& cancel) {
      agent::GauntletOptions mine = options;
      mine.cancel = cancel;
      return agent::run_gauntlet(mine);
    }));
    return agent::gauntlet_json(result, options);
  });
}

}  // namespace plumbline::python
