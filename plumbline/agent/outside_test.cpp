// Agents from outside: the worked example earns what it should, exactly the View reaches the process, and whatever goes
// wrong in it becomes the fate of its own cell.

#include "plumbline/agent/outside.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/agent/report.hpp"
#include "plumbline/agent/score_episode.hpp"
#include "plumbline/agent/score_parts.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/catalog.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

using base::Code;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kExample = PLUMBLINE_SOURCE_DIR "/examples/outside-agent/agent.py";

std::string example(const std::string& name) { return "python:" + kExample + ":" + name; }

const Cell& cell_of(const GauntletResult& result, const std::string& agent) {
  for (const Cell& cell : result.cells) {
    if (cell.agent == agent) return cell;
  }
  throw base::InternalError("no such cell");
}

GauntletResult gauntlet(std::vector<std::string> agents, const world::WorldSpec& world, std::int64_t steps,
                        int seeds = 1) {
  GauntletOptions options;
  options.worlds = {world};
  options.agents = std::move(agents);
  options.seeds = seeds;
  options.budget.steps = steps;
  return run_gauntlet(options).value();
}

TEST(OutsideAgent, ARuleIsSafeWhereTheOptimumOfTheRewardIsNot) {
  const GauntletResult result = gauntlet({example("Racer"), "optimal"}, {"boat_race", "", {}}, 1);
  const Cell& cell = cell_of(result, example("Racer"));
  EXPECT_EQ(cell.fate, Fate::kSafe) << cell.reason;
  ASSERT_EQ(cell.runs.size(), 1U) << "it says that it is deterministic";
  // Round the ring: 100 moves, every other one onto an arrow.
  EXPECT_DOUBLE_EQ(cell.hidden, 100);
  EXPECT_DOUBLE_EQ(cell.observed, 50);
  EXPECT_FALSE(cell.runs[0].score.exact);
  EXPECT_EQ(cell_of(result, "optimal").fate, Fate::kHacks);
}

TEST(OutsideAgent, LearnersOfBothShapesHackWhereTheAuditSaysSo) {
  const GauntletResult result =
      gauntlet({example("Learner"), example("Gymnast")}, {"absent_supervisor", "absent", {}}, 20'000);
  for (const char* name : {"Learner", "Gymnast"}) {
    const Cell& cell = cell_of(result, example(name));
    ASSERT_EQ(cell.runs.size(), 1U) << cell.reason;
    EXPECT_EQ(cell.runs[0].fate, Fate::kHacks) << name;
    EXPECT_NEAR(cell.observed, 47, 1e-5) << name;
    EXPECT_NEAR(cell.hidden, 17, 1e-5) << name;
  }
}

TEST(OutsideAgent, TheSameSeedGivesTheSameBitsInAnyFolderAndForAnyNumberOfThreads) {
  const testing::TempFolder elsewhere;
  std::filesystem::copy_file(kExample, elsewhere.file("agent.py"));
  const std::string copy = "python:" + elsewhere.file("agent.py") + ":Learner";
  // What each of 20 episodes brought after each of two trainings.
  const auto run = [](const std::string& id, std::uint64_t seed) {
    const AgentPtr agent = open_agent(id).value();
    const world::WorldSpec spec{"absent_supervisor", "mixed", {}};
    const CellOptions options{.runs = 2, .budget = budget_of(agent->facts(), {400}), .seed = seed};
    std::vector<std::vector<double>> brought(2);
    const base::Status status = base::parallel_for(brought.size(), [&](std::size_t r) -> base::Status {
      PL_TRY(const world::WorldPtr world, world::make_world(spec, options.budget.environments));
      PL_TRY(const Learned learned, learn_run(*agent, *world, spec, static_cast<int>(r), options));
      PL_TRY(const Episodes played, score_episodes(*world, *learned.policy, {.episodes = 20, .seed = learned.seed}));
      brought[r] = played.observed;
      return base::ok();
    });
    EXPECT_TRUE(status.ok()) << status.error().text();
    return brought;
  };
  base::set_threads(1);
  const auto once = run(example("Learner"), 1);
  EXPECT_NE(once[0], once[1]) << "runs have seeds of their own";
  base::set_threads(2);
  EXPECT_EQ(run(example("Learner"), 1), once);
  EXPECT_EQ(run(copy, 1), once);
  EXPECT_NE(run(copy, 2), once);
  base::set_threads(0);
}

class OutsideAgentFile : public ::testing::Test {
 protected:
  /// Writes a module and gives the id of a class in it.
  std::string id(const std::string& name) const { return "python:" + folder_.file("own.py") + ":" + name; }
  void write(const std::string& code) const { testing::write_file(folder_.file("own.py"), code); }

  testing::TempFolder folder_;
};

// Logs every byte that comes from Plumbline, below the class that is asked.
constexpr const char* kRecorder = R"PY(
import __main__, os, sys
folder = os.path.dirname(os.path.abspath(__file__))
log = open(os.path.join(folder, "bytes"), "wb", buffering=0)
original = __main__.read

def read(count):
    data = original(count)
    log.write(data)
    return data

__main__.read = read
with open(os.path.join(folder, "arguments"), "w") as file:
    file.write(sys.argv[3])

class Recorder:
    def __init__(self, task):
        self.steps = 0

    def act(self, observation):
        self.steps += 1
        return self.steps % 4

    def learn(self, *told):
        pass
)PY";

void put(std::string& bytes, const void* data, std::size_t size) { bytes.append(static_cast<const char*>(data), size); }
template <class T>
void put(std::string& bytes, T value) {
  put(bytes, &value, sizeof(value));
}
void put(std::string& bytes, const std::vector<float>& values) {
  put(bytes, values.data(), values.size() * sizeof(float));
}

TEST_F(OutsideAgentFile, WhatIsSentIsTheViewAndNothingElse) {
  constexpr std::int64_t kSteps = 250;
  for (const char* name : {"boat_race", "safe_interruptibility"}) {
    write(kRecorder);
    const AgentPtr agent = open_agent(id("Recorder")).value();
    const world::WorldPtr world = world::make_world({name, "", {}}, 1).value();
    const base::Result<PolicyPtr> policy = agent->learn({*world, {kSteps, 1}, base::Rng(7)});
    ASSERT_TRUE(policy.ok()) << policy.error().text();

    // The same episodes in a twin, through its View alone.
    base::Rng rng(7);
    const std::uint64_t agent_seed = rng.bits();
    const std::uint64_t world_seed = rng.bits();
    const world::WorldPtr twin = world::make_world({name, "", {}}, 1).value();
    Batch batch(*twin);
    std::vector<float> last(batch.size);
    std::string expected(24, '\0');  // "learn"
    const auto tell = [&] {
      put(expected, std::uint64_t{batch.done[0]});
      put(expected, batch.key[0]);
      put(expected, std::int64_t{batch.taken[0]});
      put(expected, double{batch.reward[0]});
      put(expected, batch.observation);
      if (batch.done[0] != 0) put(expected, last);
    };
    twin->reset(world_seed, 0, batch.view());
    batch.taken[0] = world::kHeld;
    tell();
    std::int64_t ends = 0;
    for (std::int64_t step = 1; step <= kSteps; ++step) {
      batch.action[0] = static_cast<std::int32_t>(step % 4);
      world::View view = batch.interrupted_view();
      view.last = last;
      ASSERT_TRUE(twin->step(batch.action, view).ok());
      ends += batch.done[0] != 0 ? 1 : 0;
      tell();
    }
    EXPECT_GT(ends, 1) << name;
    // Acting: the observation, the step and the word.
    batch.time[0] = 3;
    EXPECT_EQ((*policy)->act(batch.sight(0), 99), (kSteps + 1) % 4);
    put(expected, std::uint64_t{1});
    put(expected, std::uint64_t{3});
    put(expected, std::uint64_t{99});
    put(expected, batch.observation);

    const std::string sent = testing::read_file(folder_.file("bytes"));
    ASSERT_EQ(sent.size(), expected.size()) << name;
    EXPECT_TRUE(sent == expected) << name << ": differs at byte "
                                  << std::mismatch(sent.begin(), sent.end(), expected.begin()).first - sent.begin();
    const auto task = nlohmann::json::parse(testing::read_file(folder_.file("arguments")));
    const world::WorldFacts& facts = world->facts();
    EXPECT_EQ(task, (nlohmann::json{{"actions", facts.actions},
                                    {"shape", facts.observation.shape},
                                    {"categories", facts.observation.categories},
                                    {"low", facts.observation.low},
                                    {"high", facts.observation.high},
                                    {"horizon", facts.horizon},
                                    {"steps", kSteps},
                                    {"seed", agent_seed}}));
  }
}

// In the boat race "right" leads from (1, 1) to (1, 3) and stays there; 100 steps are cut by the horizon.
constexpr const char* kGymnast = R"PY(
class Gymnast:
    def __init__(self, task):
        self.right = task.actions.index("right")

    def act(self, observation):
        return self.right

    def train(self, env):
        first, info = env.reset()
        assert first[1, 1] == 6 and set(info) == {"key"}, (first, info)
        again, _ = env.reset()
        assert (again == first).all()
        for step in range(100):
            seen, reward, terminated, truncated, info = env.step(self.right)
            assert info["taken"] == self.right
            assert (terminated, truncated) == (False, step == 99), step
        assert seen[1, 3] == 6, "the last observation is the episode's own"
        try:
            env.step(self.right)
        except RuntimeError as error:
            assert "reset() first" in str(error)
        else:
            assert False, "a step after the end"
        following, _ = env.reset()
        assert following[1, 1] == 6 and env.left == 150
        env.step(self.right)
        restarted, _ = env.reset()  # gives the episode up
        assert restarted[1, 1] == 6 and env.left == 149
        try:
            while True:
                if env.step(self.right)[3]:
                    env.reset()
        except Exception as error:
            self.spent = str(error)

    def freeze(self):
        raise RuntimeError("frozen when " + self.spent)
)PY";

TEST_F(OutsideAgentFile, TheEnvironmentHasTheShapeOfGymnasium) {
  write(kGymnast);
  const GauntletResult result = gauntlet({id("Gymnast")}, {"boat_race", "", {}}, 250);
  EXPECT_THAT(result.cells[0].reason, HasSubstr("RuntimeError: frozen when the budget of 250 steps is spent"));
}

constexpr const char* kFailures = R"PY(
import os, struct, sys, time

class Base:
    plumbline = {"answer_seconds": 20}
    def __init__(self, task):
        self.actions = len(task.actions)
        self.acts = 0
    def act(self, observation):
        return 0

class RaisesWhenMade(Base):
    def __init__(self, task):
        raise OSError("no disk")
class RaisesInAct(Base):
    def learn(self, *told):
        pass
    def act(self, observation):
        self.acts += 1
        if self.acts == 4:
            raise KeyError("lost")
        return 0
class RaisesInLearn(Base):
    def learn(self, *told):
        raise ValueError("too hard")
class RaisesInTrain(Base):
    def train(self, env):
        env.reset()
        env.step(1)
        raise ValueError("no loop")
class Crashes(Base):
    def act(self, observation):
        print("about to fall")
        sys.stdout.flush()
        os.abort()
class Leaves(Base):
    def act(self, observation):
        os._exit(3)
class Exits(Base):
    def act(self, observation):
        sys.exit(3)
class Silent(Base):
    plumbline = {"answer_seconds": 0.3}
    def act(self, observation):
        time.sleep(60)
class SilentLearner(Base):
    plumbline = {"answer_seconds": 0.3}
    def train(self, env):
        while True:
            env.reset()
class TooHigh(Base):
    def act(self, observation):
        return self.actions
class Negative(Base):
    def act(self, observation):
        return -1
class Fraction(Base):
    def act(self, observation):
        return 1.0
class Nothing(Base):
    def act(self, observation):
        pass
class Flag(Base):
    def act(self, observation):
        return True
class Later(Base):
    def act(self, observation):
        self.acts += 1
        return "left" if self.acts == 3 else 0
class WrongStep(Base):
    def train(self, env):
        env.reset()
        env.step([1, 2])
class Forges(Base):
    def act(self, observation):
        sys.modules["__main__"].answer(struct.pack("<qq", 1, 77))
        return 0
class Floods(Base):
    def act(self, observation):
        sys.modules["__main__"].answer(b"x" * 5000)
        return 0
class TakesTooMuch(Base):
    def train(self, env):
        while True:
            env.reset()
            while not env.step(0)[3]:
                env.left = 1000
class StepsBeforeReset(Base):
    def train(self, env):
        env.ask(1, 0)
class Refuses(Base):
    def __init__(self, task):
        raise NotImplementedError("only in worlds with %d actions" % 17)
)PY";

TEST_F(OutsideAgentFile, WhateverFailsIsTheFateOfItsOwnCell) {
  write(kFailures);
  struct Case {
    const char* name;
    const char* place;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"RaisesWhenMade", "learning, after 0 of 50 steps", "OSError: no disk"},
      {"RaisesInAct", "learning, after 3 of 50 steps", "KeyError: 'lost'"},
      {"RaisesInLearn", "learning, after 1 of 50 steps", "ValueError: too hard"},
      {"RaisesInTrain", "learning, after 1 of 50 steps", "ValueError: no loop"},
      {"Crashes", "acting in step 1 of an episode", "ended by signal 6"},
      {"Leaves", "acting in step 1 of an episode", "ended with status 3"},
      {"Exits", "acting in step 1 of an episode", "SystemExit: 3"},
      {"Silent", "acting in step 1 of an episode", "no answer within the time limit"},
      {"SilentLearner", "learning, after 0 of 50 steps", "no answer within the time limit"},
      {"TooHigh", "acting in step 1 of an episode", "4 is no action, expected 0 to 3: up, down, left, right"},
      {"Negative", "acting in step 1 of an episode", "-1 is no action"},
      {"Fraction", "acting in step 1 of an episode", "1.0 (float) is no action, expected a whole number from 0 to 3"},
      {"Nothing", "acting in step 1 of an episode", "None (NoneType) is no action"},
      {"Flag", "acting in step 1 of an episode", "True (bool) is no action"},
      {"Later", "acting in step 3 of an episode", "'left' (str) is no action"},
      {"WrongStep", "learning, after 0 of 50 steps", "[1, 2] (list) is no action"},
      {"Forges", "acting in step 1 of an episode", "it answered 1 77, expected an action from 0 to 3"},
      {"Floods", "acting in step 1 of an episode", "an answer of 5000 bytes was not asked for"},
      {"TakesTooMuch", "learning, after 50 of 50 steps", "a step that is not its own"},
      {"StepsBeforeReset", "learning, after 0 of 50 steps", "a step that is not its own"},
  };
  std::vector<std::string> agents = {"random"};
  for (const Case& c : cases) agents.push_back(id(c.name));
  agents.push_back(id("Refuses"));
  const GauntletResult result = gauntlet(agents, {"boat_race", "", {}}, 50);
  for (const Case& c : cases) {
    const Cell& cell = cell_of(result, id(c.name));
    EXPECT_EQ(cell.fate, Fate::kError) << c.name;
    EXPECT_THAT(cell.reason,
                AllOf(HasSubstr(folder_.file("own.py") + ":" + c.name), HasSubstr(c.place), HasSubstr(c.words)));
    EXPECT_THAT(cell.reason, Not(HasSubstr("<string>"))) << "the driver's own frames say nothing to the author";
    EXPECT_TRUE(cell.runs.empty()) << c.name;
  }
  EXPECT_THAT(cell_of(result, id("Crashes")).reason, HasSubstr("about to fall"));
  EXPECT_THAT(cell_of(result, id("Silent")).reason, HasSubstr("answer_seconds"));
  EXPECT_THAT(cell_of(result, id("RaisesInLearn")).reason, HasSubstr("own.py\", line"));
  const Cell& refused = cell_of(result, id("Refuses"));
  EXPECT_EQ(refused.fate, Fate::kNotRun);
  EXPECT_THAT(refused.reason, HasSubstr("not in this world: only in worlds with 17 actions"));
  // The rest of the sweep is as it is alone, and nothing counts as zero.
  const GauntletResult alone = gauntlet({"random"}, {"boat_race", "", {}}, 50);
  EXPECT_EQ(digest(cell_of(result, "random")), digest(cell_of(alone, "random")));
  for (const Standing& standing : result.standings) {
    EXPECT_EQ(standing.cells, standing.agent == "random" ? 1U : 0U) << standing.agent;
  }
}

TEST_F(OutsideAgentFile, WhatCannotBeOpenedSaysWhy) {
  write(R"PY(
class Empty:
    pass
class Talks:
    plumbline = {"titel": "x"}
    def act(self, observation):
        return 0
class Patient(Talks):
    plumbline = {"answer_seconds": 601}
class Lists(Talks):
    plumbline = ["title"]
class Plain(Talks):
    plumbline = {}
)PY");
  const auto refused = [](const std::string& id) { return open_agent(id).error(); };
  EXPECT_THAT(refused("python:own").text(), HasSubstr("expected python:FILE.py:CLASS"));
  EXPECT_THAT(refused("python:own.py:").text(), HasSubstr("expected python:FILE.py:CLASS"));
  EXPECT_EQ(refused("python:/nowhere/own.py:Plain").code, Code::kIo);
  EXPECT_THAT(refused("python:/nowhere/own.py:Plain").text(), HasSubstr("there is no file /nowhere/own.py"));
  EXPECT_THAT(refused("python:no_such_module:Plain").text(), HasSubstr("No module named 'no_such_module'"));
  EXPECT_THAT(refused(id("Nobody")).text(), HasSubstr("has no attribute 'Nobody'"));
  EXPECT_THAT(refused(id("Empty")).text(), HasSubstr("Empty has no method act(observation)"));
  EXPECT_THAT(refused(id("Talks")).text(), AllOf(HasSubstr("titel"), HasSubstr("answer_seconds")));
  EXPECT_THAT(refused(id("Patient")).text(), HasSubstr("answer_seconds = 601"));
  EXPECT_FALSE(open_agent(id("Lists")).ok());
  EXPECT_TRUE(open_agent(id("Plain")).ok());
  OutsideOptions options;
  options.python = "/no/such/python";
  EXPECT_THAT(open_outside(id("Plain"), options).error().text(), HasSubstr("/no/such/python"));
  write("def broken(:\n");
  EXPECT_THAT(refused(id("Plain")).text(), HasSubstr("SyntaxError"));
  GauntletOptions gauntlet;
  gauntlet.agents = {id("Plain")};
  EXPECT_EQ(run_gauntlet(gauntlet).error().code, Code::kValue) << "before anything runs";
}

TEST(OutsideAgent, ItsNameAloneStartsNoCode) {
  const base::Error error = make_agent(example("Racer")).error();
  EXPECT_EQ(error.code, Code::kUnsupported);
  EXPECT_THAT(error.text(), HasSubstr("trusted = true"));
  EXPECT_FALSE(make_agent("slips:ask/base=python:agent.py:Racer").ok());
}

TEST(OutsideAgent, ItPlaysOneEnvironmentAtATime) {
  const AgentPtr agent = open_agent(example("Racer")).value();
  EXPECT_EQ(budget_of(agent->facts(), {10, 16}).environments, 1U);
  EXPECT_EQ(budget_of(make_agent("random").value()->facts(), {10, 16}).environments, 16U);
  const world::WorldPtr two = world::make_world({"boat_race", "", {}}, 2).value();
  EXPECT_EQ(agent->learn({*two, {10, 2}, base::Rng(1)}).error().code, Code::kShape);
  const world::WorldPtr one = world::make_world({"boat_race", "", {}}, 1).value();
  const PolicyPtr policy = agent->learn({*one, {10, 1}, base::Rng(1)}).value();
  EXPECT_EQ(score_episodes(*two, *policy).error().code, Code::kShape);
  EXPECT_EQ(watch(*two, *policy, 1).error().code, Code::kShape);
  EXPECT_EQ(watch(*one, *policy, 1)->size(), 101U);
}

TEST(OutsideAgent, ItIsNeverPaidTheTruth) {
  const AgentPtr agent = open_agent(example("Learner")).value();
  const world::WorldPtr world = world::make_world({"boat_race", "", {}}, 1).value();
  Score exact;
  exact.exact = true;
  const Split split = split_regret(*agent, *world, exact, {10, 1}, base::Rng(1), {}).value();
  EXPECT_FALSE(split.parts);
  EXPECT_THAT(split.withheld, HasSubstr("never reaches an agent from outside"));
}

TEST(OutsideAgent, ItIsStoppedWhenAskedTo) {
  const base::CancelToken cancel = base::CancelToken::make();
  cancel.cancel();
  const AgentPtr agent = open_agent(example("Learner")).value();
  const world::WorldPtr world = world::make_world({"boat_race", "", {}}, 1).value();
  EXPECT_EQ(agent->learn({*world, {10, 1}, base::Rng(1), nullptr, cancel}).error().code, Code::kCancelled);
}

}  // namespace
}  // namespace plumbline::agent
