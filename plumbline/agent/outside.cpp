#include "plumbline/agent/outside.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "plumbline/agent/batch.hpp"
#include "plumbline/base/guard.hpp"

namespace plumbline::agent {
namespace {

using base::Code;
using base::make_error;
using nlohmann::json;

constexpr std::string_view kPrefix = "python:";

// What is asked and answered; the frame is base::PythonProcess's.
//   to Python    u64 0 0 0                                      make an agent and let it learn
//                u64 1 time word, observation as float32        act
//                u64 done, u64 key, i64 taken, f64 reward, observation, and where done != 0 the episode's last
//                observation: what a request of the learner brought
//   from Python  i64 kind, i64 action; kind 0: learner wants another episode, 1: action (of the learner, or of act),
//                2: has learned, 3: refuses this world, and says why in the text that follows
constexpr const char* kDriver = R"PY(
import json, operator, random, types

RESET, ACTION, LEARNED, REFUSED = 0, 1, 2, 3

try:
    import numpy
    place, name, task = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    _, kind = load(place, name)
    if not callable(getattr(kind, "act", None)):
        raise TypeError(name + " has no method act(observation)")
    said = dict(getattr(kind, "plumbline", {}))
    text = json.dumps(said).encode()
except BaseException:
    fail()
    sys.exit(1)
answer(text)
if task is None:
    sys.exit(0)

task = types.SimpleNamespace(**task)
task.shape = tuple(task.shape)
size = 1
for axis in task.shape:
    size *= axis

def see():
    return numpy.frombuffer(read(4 * size), dtype="<f4").reshape(task.shape)

def chosen(value):
    try:
        if isinstance(value, bool):
            raise TypeError
        action = operator.index(value)
    except TypeError:
        raise TypeError("%r (%s) is no action, expected a whole number from 0 to %d"
                        % (value, type(value).__name__, len(task.actions) - 1)) from None
    if not 0 <= action < len(task.actions):
        raise ValueError("%d is no action, expected 0 to %d: %s" % (action, len(task.actions) - 1, ", ".join(task.actions)))
    return action

def seed_modules(seed):
    random.seed(seed)
    numpy.random.seed(seed % 2**32)

class Spent(Exception):
    pass

class Environment:
    """One environment with Gymnasium's reset and step. `left`: steps until the budget is spent, which ends train()."""

    def __init__(self):
        self.actions, self.shape, self.left = task.actions, task.shape, task.steps
        self.first = None   # what is seen first in the next episode, where that is known already
        self.steps = -1     # of the episode under way; -1: none is

    def ask(self, what, action):
        answer(struct.pack("<qq", what, action))
        done, key, taken, reward = struct.unpack("<QQqd", read(32))
        observation = see()
        return done, {"key": key, "taken": taken}, reward, observation, see() if done else observation

    def reset(self, *, seed=None, options=None):
        if self.steps != 0:
            if self.first is None:
                _, info, _, observation, _ = self.ask(RESET, 0)
                self.first = observation, {"key": info["key"]}
            self.steps = 0
            self.now, self.first = self.first, None
        return self.now[0].copy(), dict(self.now[1])

    def step(self, action):
        if self.steps < 0:
            raise RuntimeError("no episode is under way: call reset() first")
        action = chosen(action)
        if self.left <= 0:
            raise Spent("the budget of %d steps is spent" % task.steps)
        self.left -= 1
        self.steps += 1
        done, info, reward, observation, last = self.ask(ACTION, action)
        if done:
            self.steps, self.first = -1, (observation, {"key": info["key"]})
            info = {"taken": info["taken"]}
        return last, reward, done == 1, done == 2, info

def begin(agent, seed):
    seed_modules(seed)
    if hasattr(agent, "reset"):
        agent.reset(seed)

def learn(agent):
    env = Environment()
    if hasattr(agent, "train"):
        try:
            agent.train(env)
        except Spent:
            pass
    elif hasattr(agent, "learn"):
        seeds = random.Random(task.seed)
        terminated = truncated = True
        while env.left > 0:
            if terminated or truncated:
                observation, _ = env.reset()
                begin(agent, seeds.getrandbits(63))
            action = chosen(agent.act(observation.copy()))
            following, reward, terminated, truncated, _ = env.step(action)
            agent.learn(observation, action, reward, following, terminated, truncated)
            observation = following
    if hasattr(agent, "freeze"):
        agent.freeze()

agent = None
while True:
    verb, when, word = struct.unpack("<QQQ", read(24))
    try:
        if verb == 0:
            seed_modules(task.seed)
            try:
                agent = kind() if kind.__init__ is object.__init__ else kind(task)
            except NotImplementedError as refusal:
                answer(struct.pack("<qq", REFUSED, 0), str(refusal).encode("utf-8", "replace")[:4096])
                continue
            learn(agent)
            reply = LEARNED, 0
        else:
            observation = see()
            if when == 0:
                begin(agent, word)
            reply = ACTION, chosen(agent.act(observation))
    except BaseException:
        fail()
        continue
    answer(struct.pack("<qq", *reply))
)PY";

enum Verb : std::uint64_t { kLearn = 0, kAct = 1 };
enum Kind : std::int64_t { kReset = 0, kAction = 1, kLearned = 2, kRefused = 3 };

/// What was named, and what the class says of itself.
struct Named {
  std::string id;
  std::string place;
  std::string name;
  std::string title;
  bool deterministic = false;
  OutsideOptions options;
};

base::Status read_said(const std::string& text, Named& named) {
  const auto bad = [&](const std::string& what) {
    return make_error(Code::kValue, "the class says in `plumbline` " + what, named.id,
                      "It may hold title, deterministic and answer_seconds");
  };
  const json said = json::parse(text, nullptr, false);
  if (!said.is_object()) return bad("what is no dict");
  for (const auto& [key, value] : said.items()) {
    if (key == "title" && value.is_string()) {
      named.title = value.get<std::string>();
    } else if (key == "deterministic" && value.is_boolean()) {
      named.deterministic = value.get<bool>();
    } else if (key == "answer_seconds" && value.is_number()) {
      const double seconds = value.get<double>();
      constexpr double kMost = 600;
      if (!(seconds > 0 && seconds <= kMost)) {
        return bad(fmt::format("answer_seconds = {}, expected more than 0, at most {}", seconds, kMost));
      }
      named.options.answer = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
    } else {
      return bad(fmt::format("{} = {}", key, value.dump()));
    }
  }
  return base::ok();
}

/// One process with one agent in it.
class Session {
 public:
  struct Reply {
    std::int64_t kind = 0;
    std::int64_t action = 0;
    std::string text;
  };

  /// `task` null: to read what the class says of itself, in `named`.
  base::Status start(Named& named, const json& task) {
    limit_ = named.options.answer;
    // Numeric libraries on one thread: how they share out a sum would change its last bits.
    PL_CHECK(process_.start(kDriver, {named.place, named.name, task.dump()}, named.options.python,
                            {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1"}));
    const auto deadline = base::PythonProcess::Clock::now() + named.options.start;
    PL_TRY(const base::PythonProcess::Answer answer, in_time(process_.answer(deadline)));
    if (answer.raised) {
      return make_error(Code::kValue, "the class cannot be imported: " + *answer.raised, {},
                        "NumPy must be installed for " + named.options.python);
    }
    constexpr std::uint64_t kMostSaid = 1U << 14U;
    PL_TRY(const std::string text, in_time(process_.text(answer, kMostSaid, deadline)));
    PL_CHECK(read_said(text, named));
    limit_ = named.options.answer;
    return base::ok();
  }

  base::Status send(std::span<const char> bytes) {
    const auto sent = process_.send(bytes.data(), bytes.size(), base::PythonProcess::Clock::now() + limit_);
    return sent.ok() ? sent : base::Status(timely(sent.error()));
  }

  /// Errors kValue: it raised, or answered what is no reply; kIo: it ended, or was silent for too long.
  base::Result<Reply> reply() {
    const auto deadline = base::PythonProcess::Clock::now() + limit_;
    PL_TRY(const base::PythonProcess::Answer answer, in_time(process_.answer(deadline)));
    if (answer.raised) return make_error(Code::kValue, "it raised: " + *answer.raised);
    std::array<std::int64_t, 2> head{};
    constexpr std::uint64_t kMostText = 4096;
    if (answer.bytes < sizeof(head) || answer.bytes > sizeof(head) + kMostText) {
      process_.stop();  // the rest of its answer is not read
      return make_error(Code::kValue, fmt::format("an answer of {} bytes was not asked for", answer.bytes));
    }
    const auto got = process_.receive(head.data(), sizeof(head), deadline);
    if (!got.ok()) return timely(got.error());
    PL_TRY(std::string text, in_time(process_.text({answer.bytes - sizeof(head), {}}, kMostText, deadline)));
    return Reply{head[0], head[1], std::move(text)};
  }

 private:
  /// An agent that is silent for too long has failed; it is not that the world is too large for it.
  static base::Error timely(base::Error error) {
    if (error.code == Code::kLimit) {
      error.code = Code::kIo;
      error.hint = "`plumbline = {\"answer_seconds\": ...}` in the class allows it more, up to 600";
    }
    return error;
  }
  template <class T>
  static base::Result<T> in_time(base::Result<T> got) {
    return got.ok() ? got : base::Result<T>(timely(got.error()));
  }

  base::PythonProcess process_;
  std::chrono::milliseconds limit_{};
};

/// The bytes of a message, in order.
class Message {
 public:
  template <class T>
  Message& add(const T& value) {
    const char* at = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof(T));
    return *this;
  }
  Message& add(std::span<const float> values) {
    const char* at = reinterpret_cast<const char*>(values.data());
    bytes_.insert(bytes_.end(), at, at + values.size_bytes());
    return *this;
  }
  std::span<const char> bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

base::Result<std::int32_t> action_of(const Session::Reply& reply, const std::vector<std::string>& actions) {
  if (reply.kind != kAction || reply.action < 0 || reply.action >= std::ssize(actions)) {
    return make_error(Code::kValue, fmt::format("it answered {} {}, expected an action from 0 to {}: {}", reply.kind,
                                                reply.action, actions.size() - 1, fmt::join(actions, ", ")));
  }
  return static_cast<std::int32_t>(reply.action);
}

/// Lets the agent learn: answers its requests with what it may see of the world, until it says that it has learned.
class Lessons {
 public:
  Lessons(Session& session, Assignment& given, std::string id)
      : session_(session),
        given_(given),
        id_(std::move(id)),
        batch_(given.world),
        last_(batch_.size),
        seed_(given.rng.bits()) {}

  base::Status run() {
    PL_CHECK(of_agent(session_.send(Message().add(kLearn).add(std::uint64_t{0}).add(std::uint64_t{0}).bytes())));
    for (;;) {
      PL_CHECK(given_.cancel.status());
      const auto reply = session_.reply();
      if (!reply.ok()) return named(reply.error());
      if (reply->kind == kLearned) return base::ok();
      if (reply->kind == kRefused) return make_error(Code::kUnsupported, "not in this world: " + reply->text, id_);
      if (reply->kind == kReset) {
        given_.world.reset(seed_, episodes_++, batch_.view());
        batch_.taken[0] = world::kHeld;
      } else {
        PL_CHECK(step(*reply));
      }
      PL_CHECK(of_agent(tell()));
    }
  }

 private:
  base::Status step(const Session::Reply& reply) {
    const std::vector<std::string>& actions = given_.world.facts().actions;
    const auto action = action_of(reply, actions);
    if (!action.ok()) return named(action.error());
    if (episodes_ == 0 || steps_ >= given_.budget.steps) {
      return named(make_error(Code::kValue, fmt::format("it asked for a step that is not its own: {} of {} are taken",
                                                        steps_, given_.budget.steps)));
    }
    ++steps_;
    batch_.action[0] = *action;
    world::View view = batch_.interrupted_view();
    view.last = last_;
    PL_CHECK(given_.world.step(batch_.action, view));
    if (!std::isfinite(batch_.reward[0])) {
      return make_error(Code::kValue, fmt::format("the world gave the reward {}", batch_.reward[0]),
                        "world " + given_.world.facts().id);
    }
    return base::ok();
  }
  /// What the last request brought: the View, and nothing else.
  base::Status tell() {
    Message message;
    message.add(std::uint64_t{batch_.done[0]})
        .add(batch_.key[0])
        .add(std::int64_t{batch_.taken[0]})
        .add(double{batch_.reward[0]})
        .add(std::span<const float>(batch_.observation));
    if (batch_.done[0] != 0) message.add(std::span<const float>(last_));
    return session_.send(message.bytes());
  }
  base::Error named(const base::Error& error) const {
    return error.at(fmt::format("{}: learning, after {} of {} steps", id_, steps_, given_.budget.steps));
  }
  base::Status of_agent(const base::Status& status) const { return status.ok() ? status : named(status.error()); }

  Session& session_;
  Assignment& given_;
  std::string id_;
  Batch batch_;
  std::vector<float> last_;
  std::uint64_t seed_;
  std::uint64_t episodes_ = 0;
  std::int64_t steps_ = 0;
};

class OutsidePolicy final : public Policy {
 public:
  OutsidePolicy(std::unique_ptr<Session> session, std::string id, std::vector<std::string> actions)
      : session_(std::move(session)), id_(std::move(id)), actions_(std::move(actions)) {}

  std::int32_t act(const Sight& sight, std::uint64_t word) const override {
    const std::lock_guard lock(mutex_);
    if (!status_.ok()) return kNoAction;
    const auto action = ask(sight, word);
    if (action.ok()) return *action;
    status_ = action.error().at(fmt::format("{}: acting in step {} of an episode", id_, sight.time + 1));
    return kNoAction;
  }
  base::Status status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  bool sequential() const override { return true; }
  base::Result<world::TabularPolicy> table(const world::ObservedModel&) const override {
    return make_error(Code::kUnsupported, "an agent from outside acts and shows no table", id_);
  }

 private:
  base::Result<std::int32_t> ask(const Sight& sight, std::uint64_t word) const {
    Message message;
    message.add(kAct).add(static_cast<std::uint64_t>(sight.time)).add(word).add(sight.observation);
    PL_CHECK(session_->send(message.bytes()));
    PL_TRY(const Session::Reply reply, session_->reply());
    return action_of(reply, actions_);
  }

  std::unique_ptr<Session> session_;
  std::string id_;
  std::vector<std::string> actions_;
  mutable std::mutex mutex_;
  mutable base::Status status_ = base::ok();
};

class OutsideAgent final : public Agent {
 public:
  explicit OutsideAgent(Named named) : named_(std::move(named)) {
    facts_.id = named_.id;
    facts_.title = named_.title.empty() ? named_.name : named_.title;
    facts_.rule = named_.id;
    facts_.kind = "outside";
    facts_.help = "a Python class in a process of its own";
    facts_.deterministic = named_.deterministic;
    facts_.outside = true;
    // Not the folder: the same file elsewhere draws the same.
    facts_.stream = std::string(kPrefix) + std::filesystem::path(named_.place).filename().string() + ":" + named_.name;
  }
  const AgentFacts& facts() const override { return facts_; }

  base::Result<PolicyPtr> learn(Assignment given) const override {
    PL_CHECK(base::check_at_least("learn", "steps", given.budget.steps, 1));
    PL_CHECK(base::check_size("learn", "environments", static_cast<std::ptrdiff_t>(given.world.environments()), 1));
    const world::WorldFacts& world = given.world.facts();
    const json task = {{"actions", world.actions},
                       {"shape", world.observation.shape},
                       {"categories", world.observation.categories},
                       {"low", world.observation.low},
                       {"high", world.observation.high},
                       {"horizon", world.horizon},
                       {"steps", given.budget.steps},
                       {"seed", given.rng.bits()}};
    auto session = std::make_unique<Session>();
    Named named = named_;
    if (const auto started = session->start(named, task); !started.ok()) return started.error().at(named_.id);
    PL_CHECK(Lessons(*session, given, named_.id).run());
    return PolicyPtr(std::make_shared<OutsidePolicy>(std::move(session), named_.id, world.actions));
  }

 private:
  Named named_;
  AgentFacts facts_;
};

}  // namespace

bool is_outside(std::string_view id) { return id.starts_with(kPrefix); }

base::Result<AgentPtr> open_outside(const std::string& id, const OutsideOptions& options) {
  const std::string rest = is_outside(id) ? id.substr(kPrefix.size()) : std::string();
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size()) {
    return make_error(Code::kValue, "expected python:FILE.py:CLASS or python:MODULE:CLASS", "agent " + id);
  }
  Named named{id, rest.substr(0, colon), rest.substr(colon + 1), {}, false, options};
  std::error_code ignored;
  if (named.place.ends_with(".py") && !std::filesystem::is_regular_file(named.place, ignored)) {
    return make_error(Code::kIo, fmt::format("there is no file {}", named.place), "agent " + id);
  }
  if (const auto told = Session().start(named, nullptr); !told.ok()) return told.error().at("agent " + id);
  return AgentPtr(std::make_unique<OutsideAgent>(std::move(named)));
}

base::Result<AgentPtr> open_agent(std::string_view id) {
  return is_outside(id) ? open_outside(std::string(id)) : make_agent(id);
}

Budget budget_of(const AgentFacts& facts, Budget budget) {
  if (facts.outside) budget.environments = 1;
  return budget;
}

}  // namespace plumbline::agent
