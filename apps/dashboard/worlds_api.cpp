// The gauntlet's tables, the worlds, and episodes to watch.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "apps/cli/stamped_gauntlet.hpp"
#include "apps/dashboard/call.hpp"
#include "apps/dashboard/pool.hpp"
#include "plumbline/agent/gauntlet_table.hpp"
#include "plumbline/agent/outside.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/agent/score_episode.hpp"
#include "plumbline/case/report/html_parts.hpp"
#include "plumbline/checks/reward/gauntlet_pictures.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/recording.hpp"

namespace plumbline::dashboard {
namespace {

using http::refusal;

constexpr std::size_t kTableBytes = 64U << 20U;
constexpr std::size_t kFrames = 400;

Json table_of(const std::string& name, const std::string& source, const std::string& table) {
  return {{"name", name}, {"source", source}, {"table", Json::parse(table)}};
}

/// A number of a script by its name.
base::Result<std::size_t> script_of(const world::World& world, const std::string& name) {
  const auto scripts = world.scripts();
  const auto found = std::find_if(scripts.begin(), scripts.end(), [&](const auto& s) { return s.name == name; });
  if (found == scripts.end()) return refusal("not_found", "the world has no such script");
  return static_cast<std::size_t>(found - scripts.begin());
}

}  // namespace

base::Result<std::string> gauntlet_tables(const std::vector<std::string>& files) {
  Json tables = Json::array();
  PL_TRY(const agent::Stamped stamped, agent::parse_stamped(cli::kStampedGauntlet));
  if (!stamped.cells.empty()) tables.push_back(table_of("built in", "built in", agent::table_json(stamped)));
  for (const std::string& file : files) {
    std::error_code code;
    const auto bytes = std::filesystem::file_size(file, code);
    std::ifstream in(file, std::ios::binary);
    if (code || !in) return base::make_error(base::Code::kIo, "cannot be read", file, "Check --gauntlet");
    if (bytes > kTableBytes) return base::make_error(base::Code::kLimit, "is larger than 64 MiB", file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    auto table = agent::table_json(text);
    if (!table.ok()) return table.error().at(file);
    const std::string name = std::filesystem::path(file).filename().string();
    tables.push_back(table_of(files.size() > 1 ? file : name, name, *table));
  }
  return http::dump({{"tables", tables}});
}

Answer worlds(const Call&) {
  // The catalogue never changes while the program runs.
  static const std::string text = [] {
    Json all = Json::array();
    std::vector<std::string> agents;
    for (const agent::AgentEntry& entry : agent::agents()) {
      const auto ids = entry.ids();
      agents.insert(agents.end(), ids.begin(), ids.end());
    }
    for (const world::WorldEntry& entry : world::worlds()) {
      const world::WorldFacts& f = entry.facts;
      Json scripts = Json::array();
      if (const auto made = world::make_world({f.id, "", {}}); made.ok()) {
        for (const auto& s : (*made)->scripts()) scripts.push_back(s.name);
      }
      all.push_back({{"id", f.id},
                     {"title", f.title},
                     {"family", f.family},
                     {"story", f.story},
                     {"levels", f.levels},
                     {"agents", agents},
                     {"scripts", scripts}});
    }
    return http::dump({{"worlds", all}});
  }();
  return http::ApiReply{200, text};
}

Answer episode(const Call& call) {
  const std::string& id = call.parts[0];
  const auto entry = std::find_if(world::worlds().begin(), world::worlds().end(),
                                  [&](const world::WorldEntry& e) { return e.facts.id == id; });
  if (entry == world::worlds().end())
    return refusal("not_found", "there is no such world", "GET /api/worlds lists them");
  const world::WorldFacts& facts = entry->facts;
  const std::string level = call.text("level").empty() ? facts.levels.front() : call.text("level");
  if (std::find(facts.levels.begin(), facts.levels.end(), level) == facts.levels.end())
    return refusal("not_found", "the world has no such level");
  PL_TRY(const std::uint64_t seed, call.whole("seed", 1, 0, std::uint64_t{1} << 53U));
  const std::string& script = call.text("script");
  const std::string agent_id = call.text("agent").empty() ? "optimal" : call.text("agent");
  if (!script.empty() && !call.text("agent").empty())
    return refusal("bad_request", "either \"agent\" or \"script\" plays");
  const world::WorldSpec spec{id, level, {}};
  const auto token = base::CancelToken::make();
  const auto watched = [&]() -> base::Result<std::vector<agent::Frame>> {
    const Deadline deadline(call.options.episode_seconds, [token] { token.cancel(); });
    PL_TRY(const world::WorldPtr stage, world::make_world(spec));
    if (!script.empty()) {
      PL_TRY(const std::size_t number, script_of(*stage, script));
      const auto choose = [number](const world::World& world, std::span<const float>, std::uint64_t bits) {
        return world.script_action(number, 0, bits);
      };
      PL_TRY(const world::Recording recording, world::record(spec, seed, 0, choose));
      return agent::watch(recording, kFrames);
    }
    // Of the catalogue alone: an agent from outside is somebody's code.
    auto player = agent::make_agent(agent_id);
    if (!player.ok()) return refusal("not_found", player.error().message, player.error().hint);
    const agent::Budget budget = agent::budget_of((*player)->facts(), agent::Budget{});
    PL_TRY(const world::WorldPtr lessons, world::make_world(spec, budget.environments));
    PL_TRY(const agent::PolicyPtr policy,
           agent::learn_overseen(**player, *lessons, budget, base::Rng(seed, {"play", id}), token));
    return agent::watch(*stage, *policy, seed, kFrames);
  }();
  if (!watched.ok()) {
    if (watched.error().code == base::Code::kCancelled)
      return refusal("too_slow",
                     fmt::format("{} does not learn this world within {:g} s", agent_id, call.options.episode_seconds),
                     "plumbline worlds play has no such limit");
    if (watched.error().where == "not_found") return watched.error();
    return refusal("not_replayed", watched.error().message, watched.error().hint);
  }
  const std::string player = script.empty() ? agent_id : script;
  const check::Artifact picture =
      checks::episode_picture("episode", fmt::format("{} in {}/{}", player, id, level), *watched);
  return json_reply({{"world", id},
                     {"level", level},
                     {"agent", script.empty() ? Json(agent_id) : Json()},
                     {"script", script.empty() ? Json() : Json(script)},
                     {"seed", seed},
                     {"artifact", Json::parse(report::embed_json(picture, kTableBytes).text)}});
}

}  // namespace plumbline::dashboard
