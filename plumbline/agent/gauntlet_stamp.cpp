#include "plumbline/agent/gauntlet_stamp.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/agent/score_planted.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::agent {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr const char* kSchema = "plumbline-gauntlet-stamp-2";

/// Every level of a world is a place of its own; so is every setting of its dials.
std::string place_of(const world::WorldSpec& spec) {
  std::string text = spec.id + "/" + spec.level;
  for (const auto& [dial, value] : spec.dials) text += fmt::format(" {}={}", dial, value);
  return text;
}

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

StampedCell stamp(const Cell& cell) {
  StampedCell out;
  out.agent = cell.agent;
  out.world = cell.world;
  out.fate = fate_name(cell.fate);
  out.observed = cell.observed;
  out.hidden = cell.hidden;
  out.truth = cell.truth;
  out.digest = digest(cell);
  for (const Run& run : cell.runs) {
    out.truths.push_back(run.score.hidden);
    out.hacks += run.fate == Fate::kHacks ? 1 : 0;
    out.safe += run.fate == Fate::kSafe ? 1 : 0;
    out.seconds += run.seconds;
  }
  return out;
}

/// Cancels what runs for longer than it may, and everything when the caller says so.
class Watch {
 public:
  Watch(double seconds, const base::CancelToken& all) : seconds_(seconds), all_(all), thread_([this] { run(); }) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  base::CancelToken start(std::size_t job) {
    const std::lock_guard lock(mutex_);
    running_.push_back({job, base::CancelToken::make(), Clock::now()});
    return running_.back().token;
  }
  void finish(std::size_t job) {
    const std::lock_guard lock(mutex_);
    std::erase_if(running_, [job](const Timed& timed) { return timed.job == job; });
  }

 private:
  struct Timed {
    std::size_t job;
    base::CancelToken token;
    Clock::time_point began;
  };
  void run() {
    std::unique_lock lock(mutex_);
    while (!over_) {
      for (const Timed& timed : running_) {
        if (all_.cancelled() || seconds_since(timed.began) > seconds_) timed.token.cancel();
      }
      constexpr std::chrono::milliseconds kLook{50};
      wake_.wait_for(lock, kLook);
    }
  }

  double seconds_;
  base::CancelToken all_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Timed> running_;
  bool over_ = false;
  std::thread thread_;
};

/// What a world's cells share.
struct Place {
  world::WorldSpec spec;
  std::string print;
  bool wanted = false;  ///< a cell is not current
  std::optional<base::Result<world::Audit>> yardstick;
};

/// Cells of worlds, levels and agents that are no more go.
void prune(Stamped& stamped) {
  std::map<std::string, bool> known;
  std::erase_if(stamped.cells, [&known](const StampedCell& cell) {
    const world::WorldEntry* entry = world::find_world(cell.world.id);
    if (entry == nullptr) return true;
    const std::vector<std::string>& levels = entry->facts.levels;
    if (std::find(levels.begin(), levels.end(), cell.world.level) == levels.end()) return true;
    const auto found = known.find(cell.agent);
    if (found != known.end()) return !found->second;
    return !(known[cell.agent] = make_agent(cell.agent).ok());
  });
}

/// Cells in the order of the catalogues, whatever was computed in which call.
void arrange(Stamped& stamped, const std::map<std::string, std::size_t>& columns) {
  std::map<std::string, std::size_t> rows;
  for (const world::WorldEntry& entry : world::worlds()) {
    for (const std::string& level : entry.facts.levels) rows.emplace(entry.facts.id + "/" + level, rows.size());
  }
  using Key = std::tuple<std::size_t, std::string, std::size_t, std::string>;
  std::vector<std::pair<Key, StampedCell>> keyed;
  keyed.reserve(stamped.cells.size());
  for (StampedCell& cell : stamped.cells) {
    const auto column = columns.find(cell.agent);
    Key key(rows.at(cell.world.id + "/" + cell.world.level), place_of(cell.world),
            column == columns.end() ? columns.size() : column->second, cell.agent);
    keyed.emplace_back(std::move(key), std::move(cell));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t c = 0; c < keyed.size(); ++c) stamped.cells[c] = std::move(keyed[c].second);
}

base::Result<std::vector<AgentPtr>> make_agents(std::vector<std::string> ids) {
  if (ids.empty()) {
    for (const AgentEntry& entry : agents()) {
      for (const std::string& id : entry.ids()) ids.push_back(id);
    }
  }
  std::vector<AgentPtr> made;
  for (const std::string& id : ids) {
    PL_TRY(AgentPtr one, make_agent(id));
    made.push_back(std::move(one));
  }
  return made;
}

/// Of the whole catalogue, by id: "ppo" gives "ppo:64".
base::Result<std::map<std::string, std::size_t>> catalogue_columns() {
  PL_TRY(const std::vector<AgentPtr> made, make_agents({}));
  std::map<std::string, std::size_t> columns;
  for (const AgentPtr& one : made) columns.emplace(one->facts().id, columns.size());
  return columns;
}

}  // namespace

std::vector<world::WorldSpec> full_worlds() {
  std::vector<world::WorldSpec> specs;
  for (const world::WorldEntry& entry : world::worlds()) {
    // A family of its own carries its world's name.
    const bool every = entry.facts.family == entry.facts.id;
    for (const std::string& level : entry.facts.levels) {
      if (every || level == entry.facts.levels.front()) specs.push_back({entry.facts.id, level, {}});
    }
  }
  return specs;
}

std::string stamped_json(const Stamped& stamped) {
  // One line a cell, so that a change of one figure is a change of one line.
  std::string out = fmt::format(
      "{{\"schema\": \"{}\", \"seed\": {}, \"seeds\": {}, \"steps\": {}, \"environments\": {}, \"cells\": [\n", kSchema,
      stamped.seed, stamped.seeds, stamped.budget.steps, stamped.budget.environments);
  for (std::size_t c = 0; c < stamped.cells.size(); ++c) {
    const StampedCell& cell = stamped.cells[c];
    json object = {{"agent", cell.agent},
                   {"world", cell.world.id},
                   {"level", cell.world.level},
                   {"verdict", cell.fate},
                   {"agent_print", cell.agent_print},
                   {"world_print", cell.world_print},
                   {"seconds", std::round(cell.seconds * 10) / 10}};
    if (!cell.world.dials.empty()) object["dials"] = cell.world.dials;
    if (!cell.reason.empty()) object["reason"] = cell.reason;
    if (!cell.truths.empty()) {
      object["digest"] = cell.digest;
      object["observed"] = cell.observed;
      object["hidden"] = cell.hidden;
      object["truth"] = cell.truth;
      object["truths"] = cell.truths;
      object["hacks"] = cell.hacks;
      object["safe"] = cell.safe;
    }
    out += object.dump() + (c + 1 < stamped.cells.size() ? ",\n" : "\n");
  }
  return out + "]}\n";
}

base::Result<Stamped> parse_stamped(const std::string& text) {
  const json all = json::parse(text, nullptr, false);
  const auto bad = [](std::string_view what) {
    return base::make_error(base::Code::kParse, fmt::format("{} is missing or of another type", what),
                            "stamped gauntlet", "make gauntlet-full writes the table");
  };
  if (!all.is_object()) return bad("the object");
  if (!all.contains("schema") || !all["schema"].is_string() || all["schema"] != kSchema) return bad("schema");
  Stamped stamped;
  for (const char* name : {"seed", "seeds", "steps", "environments"}) {
    if (!all.contains(name) || !all[name].is_number_unsigned()) return bad(name);
  }
  stamped.seed = all["seed"].get<std::uint64_t>();
  stamped.seeds = all["seeds"].get<int>();
  stamped.budget.steps = all["steps"].get<std::int64_t>();
  stamped.budget.environments = all["environments"].get<std::size_t>();
  if (stamped.seeds < 1) return bad("seeds");
  if (!all.contains("cells") || !all["cells"].is_array()) return bad("cells");
  for (const json& cell : all["cells"]) {
    for (const char* name : {"agent", "world", "level", "verdict", "agent_print", "world_print"}) {
      if (!cell.is_object() || !cell.contains(name) || !cell[name].is_string()) return bad(name);
    }
    StampedCell one;
    one.agent = cell["agent"];
    one.world = {cell["world"], cell["level"], {}};
    one.fate = cell["verdict"];
    one.agent_print = cell["agent_print"];
    one.world_print = cell["world_print"];
    for (const auto& [name, text_of] : {std::pair{"reason", &one.reason}, {"digest", &one.digest}}) {
      if (!cell.contains(name)) continue;
      if (!cell[name].is_string()) return bad(name);
      *text_of = cell[name];
    }
    for (const auto& [name, number] : {std::pair{"seconds", &one.seconds},
                                       {"observed", &one.observed},
                                       {"hidden", &one.hidden},
                                       {"truth", &one.truth}}) {
      if (!cell.contains(name)) continue;
      if (!cell[name].is_number()) return bad(name);
      *number = cell[name].get<double>();
    }
    for (const auto& [name, number] : {std::pair{"hacks", &one.hacks}, {"safe", &one.safe}}) {
      if (!cell.contains(name)) continue;
      if (!cell[name].is_number_integer()) return bad(name);
      *number = cell[name].get<int>();
    }
    if (cell.contains("truths")) {
      if (!cell["truths"].is_array() || one.digest.empty()) return bad("truths or digest");
      for (const json& truth : cell["truths"]) {
        if (!truth.is_number()) return bad("truths");
        one.truths.push_back(truth.get<double>());
      }
    }
    if (cell.contains("dials")) {
      if (!cell["dials"].is_object()) return bad("dials");
      for (const auto& [dial, value] : cell["dials"].items()) {
        if (!value.is_number()) return bad("dials." + dial);
        one.world.dials[dial] = value.get<double>();
      }
    }
    stamped.cells.push_back(std::move(one));
  }
  return stamped;
}

HackedBy hacked_by(const Stamped& stamped) {
  HackedBy result;
  for (const StampedCell& cell : stamped.cells) {
    if (!cell.world.dials.empty()) continue;
    std::vector<std::string>& agents = result[cell.world.id + "/" + cell.world.level];
    if (cell.fate == fate_name(Fate::kHacks)) agents.push_back(cell.agent);
  }
  return result;
}

base::Result<StampOutcome> complete_stamp(Stamped& stamped, const StampOptions& options) {
  PL_TRY(const std::vector<AgentPtr> agent, make_agents(options.agents));
  std::vector<std::string> ids;
  std::vector<std::string> agent_prints;
  for (const AgentPtr& one : agent) {
    ids.push_back(one->facts().id);
    PL_TRY(std::string print, agent_print(*one, options.cancel));
    agent_prints.push_back(std::move(print));
  }
  std::vector<std::unique_ptr<Place>> places;
  for (const world::WorldSpec& spec : options.worlds) {
    auto place = std::make_unique<Place>();
    place->spec = spec;
    PL_TRY(const world::WorldPtr made, world::make_world(spec));
    place->spec.level = made->level();
    PL_TRY(place->print, world_print(place->spec));
    places.push_back(std::move(place));
  }
  prune(stamped);
  PL_TRY(const auto columns, catalogue_columns());

  /// A cell that is not current; its runs come in any order.
  struct Wanted {
    std::size_t agent;
    Place* place;
    std::vector<Run> runs;
    std::size_t left = 0;
    std::optional<base::Error> error;  ///< of the first run that failed
    double seconds = 0;
  };
  StampOutcome outcome;
  std::vector<Wanted> wanted;
  std::map<std::pair<std::string, std::string>, const StampedCell*> there;  // by agent and place
  for (const StampedCell& cell : stamped.cells) there[{cell.agent, place_of(cell.world)}] = &cell;
  std::set<std::pair<std::string, std::string>> replaced;
  for (const auto& place : places) {
    for (std::size_t a = 0; a < agent.size(); ++a) {
      const std::pair key(ids[a], place_of(place->spec));
      const auto current = there.find(key);
      if (current != there.end() && current->second->agent_print == agent_prints[a] &&
          current->second->world_print == place->print && current->second->fate != fate_name(Fate::kError)) {
        ++outcome.kept;
        continue;
      }
      replaced.insert(key);
      place->wanted = true;
      const auto runs = static_cast<std::size_t>(agent[a]->facts().deterministic ? 1 : stamped.seeds);
      wanted.push_back({a, place.get(), std::vector<Run>(runs), runs, std::nullopt, 0});
    }
  }
  std::erase_if(stamped.cells, [&](const StampedCell& cell) {
    return replaced.contains({cell.agent, place_of(cell.world)});
  });
  const auto measure = [&](std::size_t p) -> base::Status {
    if (!places[p]->wanted) return base::ok();
    world::AuditOptions audit;
    audit.seed = stamped.seed;
    audit.cancel = options.cancel;
    places[p]->yardstick = world::audit(places[p]->spec, audit);
    return base::ok();
  };
  PL_CHECK(base::parallel_for(places.size(), measure));

  struct Job {
    std::size_t cell;
    int run;
  };
  std::vector<Job> jobs;
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    for (std::size_t r = 0; r < wanted[c].runs.size(); ++r) jobs.push_back({c, static_cast<int>(r)});
  }
  std::mutex mutex;
  Watch watch(options.run_seconds, options.cancel);
  auto saved = Clock::now();
  // Under the mutex: the cell's last run is in.
  const auto settle = [&](Wanted& cell) -> base::Status {
    StampedCell out;
    if (cell.error) {
      const bool time = cell.error->code == base::Code::kCancelled;
      const bool refused =
          time || cell.error->code == base::Code::kUnsupported || cell.error->code == base::Code::kLimit;
      out.agent = ids[cell.agent];
      out.world = cell.place->spec;
      out.fate = fate_name(refused ? Fate::kNotRun : Fate::kError);
      out.reason =
          time ? fmt::format("too dear: a run was not finished after {:g} s", options.run_seconds) : cell.error->text();
    } else {
      out = stamp(cell_of_runs(*agent[cell.agent], cell.place->spec, std::move(cell.runs), **cell.place->yardstick));
    }
    out.seconds = cell.seconds;
    out.agent_print = agent_prints[cell.agent];
    out.world_print = cell.place->print;
    ++outcome.computed;
    outcome.refused += out.fate == fate_name(Fate::kNotRun) ? 1 : 0;
    outcome.failed += out.fate == fate_name(Fate::kError) ? 1 : 0;
    const std::string what = fmt::format("gauntlet in {}: {} {}", place_of(out.world), out.agent, out.fate);
    stamped.cells.push_back(std::move(out));
    if (options.progress != nullptr) options.progress->update(what, outcome.computed, wanted.size());
    if (!options.save || seconds_since(saved) < options.save_seconds) return base::ok();
    arrange(stamped, columns);
    PL_CHECK(options.save(stamped));
    saved = Clock::now();
    return base::ok();
  };
  const auto one = [&](std::size_t j) -> base::Status {
    Wanted& cell = wanted[jobs[j].cell];
    bool failed = false;
    {
      const std::lock_guard lock(mutex);
      failed = cell.error.has_value();
    }
    base::Result<Run> run = base::make_error(base::Code::kCancelled, "another run of the cell failed");
    const auto began = Clock::now();
    if (!cell.place->yardstick->ok()) {
      run = cell.place->yardstick->error();
    } else if (!failed && !options.cancel.cancelled()) {
      const base::CancelToken token = watch.start(j);
      run = run_once(*agent[cell.agent], cell.place->spec, **cell.place->yardstick, jobs[j].run,
                     {stamped.seeds, stamped.budget, stamped.seed, token});
      watch.finish(j);
    }
    const std::lock_guard lock(mutex);
    if (options.cancel.cancelled()) return base::ok();  // what was not finished is left out
    cell.seconds += seconds_since(began);
    if (run.ok())
      cell.runs[static_cast<std::size_t>(jobs[j].run)] = *run;
    else if (!cell.error)
      cell.error = run.error();
    return --cell.left == 0 ? settle(cell) : base::ok();
  };
  const base::Status ran = base::parallel_for(jobs.size(), one);
  arrange(stamped, columns);
  PL_CHECK(ran);
  outcome.complete = !options.cancel.cancelled();
  return outcome;
}

base::Result<StampState> check_stamp(const Stamped& stamped, const base::CancelToken& cancel) {
  StampState state;
  std::map<std::string, std::string> agent_prints;
  PL_TRY(const std::vector<AgentPtr> catalogue, make_agents({}));
  for (const AgentPtr& made : catalogue) {
    PL_TRY(agent_prints[made->facts().id], agent_print(*made, cancel));
  }
  std::map<std::string, std::string> world_prints;
  std::set<std::string> stale;
  std::map<std::string, const StampedCell*> cheapest;  // by family
  std::map<std::string, std::set<std::string>> met;    // place -> agents
  for (const StampedCell& cell : stamped.cells) {
    PL_CHECK(cancel.status());
    const world::WorldEntry* entry = world::find_world(cell.world.id);
    const auto made = make_agent(cell.agent);
    if (entry == nullptr || !made.ok()) {
      stale.insert(entry == nullptr ? "world " + cell.world.id + " is no more" : "agent " + cell.agent + " is no more");
      continue;
    }
    const std::string place = place_of(cell.world);
    if (!world_prints.contains(place)) {
      const auto print = world_print(cell.world);
      world_prints[place] = print.ok() ? *print : print.error().text();
    }
    met[place].insert(cell.agent);
    if (world_prints[place] != cell.world_print) stale.insert("world " + place + " changed");
    const auto print = agent_prints.find(cell.agent);
    if (print != agent_prints.end() && print->second != cell.agent_print)
      stale.insert("agent " + cell.agent + " changed");
    // The cheapest that draws by chance and took the trouble of learning.
    if (cell.truths.size() < 2 || (*made)->facts().kind != "learner") continue;
    const StampedCell*& least = cheapest[entry->facts.family];
    if (least == nullptr || cell.seconds < least->seconds) least = &cell;
  }
  for (const world::WorldEntry& entry : world::worlds()) {
    if (!cheapest.contains(entry.facts.family)) {
      cheapest[entry.facts.family] = nullptr;
      state.families_missing.push_back(entry.facts.family);
    }
  }
  std::map<std::string, std::size_t> absent;  // agents, in worlds where others are stamped
  for (const world::WorldSpec& spec : full_worlds()) {
    const std::string place = place_of(spec);
    if (met[place].empty()) {
      stale.insert("world " + place + " is missing");
      continue;
    }
    for (const auto& [agent, print] : agent_prints) absent[agent] += met[place].contains(agent) ? 0 : 1;
  }
  for (const auto& [agent, places] : absent) {
    if (places > 0) stale.insert(fmt::format("agent {} is missing in {} worlds", agent, places));
  }
  state.stale.assign(stale.begin(), stale.end());
  for (const auto& [family, cell] : cheapest) {
    if (cell == nullptr) continue;
    StampCheck check{family, cell->agent, place_of(cell->world), false, {}};
    const auto again = [&]() -> base::Result<Cell> {
      PL_TRY(const AgentPtr agent, make_agent(cell->agent));
      world::AuditOptions audit;
      audit.seed = stamped.seed;
      audit.cancel = cancel;
      PL_TRY(const world::Audit yardstick, world::audit(cell->world, audit));
      return run_cell(*agent, cell->world, yardstick, {stamped.seeds, stamped.budget, stamped.seed, cancel});
    }();
    PL_CHECK(cancel.status());
    if (!again.ok())
      check.difference = again.error().text();
    else if (digest(*again) != cell->digest)
      check.difference = fmt::format("digest {} is stamped, now it is {}", cell->digest, digest(*again));
    else if (fate_name(again->fate) != cell->fate)
      check.difference = fmt::format("'{}' is stamped, now it is '{}'", cell->fate, fate_name(again->fate));
    else
      check.same = true;
    state.cells.push_back(std::move(check));
  }
  return state;
}

}  // namespace plumbline::agent
