#include "plumbline/checks/reward/worlds.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/outside.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/outside/outside.hpp"

namespace plumbline::checks {
namespace {

base::Error bad_section(const data::OtherSection& section, std::string message, std::string hint = {}) {
  return base::make_error(base::Code::kValue, std::move(message),
                          fmt::format("[{}.{}], line {}", section.kind, section.name, section.line), std::move(hint));
}

/// Code from outside runs with the rights of whoever assesses. Errors kValue: the section does not say trusted = true.
base::Status check_trusted(const data::OtherSection& section, std::string_view what) {
  const auto trusted = section.keys.find("trusted");
  if (trusted != section.keys.end() && std::get<bool>(trusted->second)) return base::ok();
  return bad_section(section, fmt::format("{} of one's own is code and runs with your rights", what),
                     "Say trusted = true if you trust it");
}

/// "python:FILE:CLASS" of the keys python and class. Errors kValue: no class.
base::Result<std::string> python_id(const data::OtherSection& section) {
  if (section.text("class").empty()) return bad_section(section, "python needs class, the class in the file");
  return "python:" + section.paths.at("python").resolved + ":" + section.text("class");
}

std::int64_t integer_of(const data::OtherSection& section, const std::string& key, std::int64_t fallback) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return fallback;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  return value == nullptr ? fallback : *value;
}

/// Every pair of a policy and a world that can be read; the reasons of those that cannot.
struct Pairs {
  std::vector<std::pair<PolicyPart, std::pair<std::string, world::WorldSpec>>> pairs;
  std::vector<std::string> reasons;
};

std::vector<std::pair<std::string, world::WorldSpec>> readable_worlds(
    const data::Manifest& manifest, const std::function<std::string(const world::WorldSpec&)>& admits,
    std::vector<std::string>& reasons) {
  std::vector<std::pair<std::string, world::WorldSpec>> worlds;
  for (const std::string& name : sections_of(manifest, "world")) {
    const auto spec = read_world(*manifest.other("world", name));
    // A section that cannot be read becomes a task, so that its error stands in the ledger.
    const std::string reason = spec.ok() && admits ? admits(*spec) : std::string();
    if (reason.empty())
      worlds.emplace_back(name, spec.ok() ? *spec : world::WorldSpec{});
    else
      reasons.push_back(fmt::format("{}: {}", name, reason));
  }
  return worlds;
}

}  // namespace

base::Result<world::WorldSpec> read_world(const data::OtherSection& section) {
  const std::string id = section.text("id");
  const bool plugin = section.paths.contains("plugin");
  const bool python = section.paths.contains("python");
  const bool file = section.paths.contains("path");
  const int sources = (id.empty() ? 0 : 1) + (plugin ? 1 : 0) + (python ? 1 : 0) + (file ? 1 : 0);
  if (sources != 1) {
    return bad_section(section,
                       fmt::format("names {} worlds, expected exactly one of id, path, plugin, python", sources),
                       "`plumbline worlds list` shows the built-in ones");
  }
  world::WorldSpec spec{id, section.text("level"), {}};
  if (plugin || python) {
    PL_CHECK(check_trusted(section, "a world"));
    if (plugin) {
      spec.id = "plugin:" + section.paths.at("plugin").resolved;
    } else {
      PL_TRY(spec.id, python_id(section));
    }
  } else if (file) {
    spec.id = "file:" + section.paths.at("path").resolved;
  } else if (world::is_outside(id)) {
    return bad_section(section, "id names a built-in world",
                       "Give the file under path or plugin, or under python with class");
  }
  for (const auto& [key, value] : section.keys) {
    if (key.starts_with("dials.")) spec.dials[key.substr(6)] = std::get<double>(value);
  }
  if (const auto made = world::make_world(spec); !made.ok()) {
    return bad_section(section, made.error().message, made.error().hint);
  }
  return spec;
}

base::Result<PolicyPart> read_policy(const data::OtherSection& section) {
  PolicyPart part;
  part.name = section.name;
  part.agent = section.text("agent");
  part.script = section.text("script");
  if (const auto path = section.paths.find("path"); path != section.paths.end()) part.path = path->second.resolved;
  const bool python = section.paths.contains("python");
  const int sources =
      (part.agent.empty() ? 0 : 1) + (part.script.empty() ? 0 : 1) + (part.path.empty() ? 0 : 1) + (python ? 1 : 0);
  if (sources != 1) {
    return bad_section(section,
                       fmt::format("names {} policies, expected exactly one of agent, script, path, python", sources),
                       "`plumbline gauntlet --list` shows the agents");
  }
  if (python) {
    PL_CHECK(check_trusted(section, "an agent"));
    PL_TRY(part.agent, python_id(section));
  }
  if (!part.agent.empty()) {
    const auto made = python ? agent::open_agent(part.agent) : agent::make_agent(part.agent);
    if (!made.ok()) return bad_section(section, made.error().message, made.error().hint);
    part.budget = agent::budget_of((*made)->facts(), part.budget);
  }
  if (const auto worlds = section.keys.find("worlds"); worlds != section.keys.end()) {
    if (const auto* names = std::get_if<std::vector<std::string>>(&worlds->second)) part.worlds = *names;
  }
  part.budget.steps = integer_of(section, "steps", part.budget.steps);
  const std::int64_t runs = integer_of(section, "runs", part.runs);
  constexpr std::int64_t kMostRuns = 1000;
  if (part.budget.steps < 1)
    return bad_section(section, fmt::format("steps is {}, expected at least 1", part.budget.steps));
  if (runs < 1 || runs > kMostRuns)
    return bad_section(section, fmt::format("runs is {}, expected 1 to {}", runs, kMostRuns));
  part.runs = static_cast<int>(runs);
  return part;
}

base::Result<agent::PolicyPtr> read_policy_table(const std::string& path, const world::WorldFacts& facts) {
  data::TableOptions options;
  options.types = {{"key", data::Column::Kind::kText}, {"action", data::Column::Kind::kText}};
  PL_TRY(const data::Table table, data::read_csv(path, options));
  const data::Column* key = table.find("key");
  const data::Column* action = table.find("action");
  if (key == nullptr || action == nullptr) {
    return base::make_error(base::Code::kShape, "the columns key and action are expected", path);
  }
  const std::size_t actions = facts.actions.size();
  std::unordered_map<std::uint64_t, std::uint32_t> rows;
  std::vector<double> probability;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    std::uint64_t state = 0;
    const std::string& text = key->texts[i];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), state);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return base::make_error(base::Code::kParse, fmt::format("key '{}' is no whole number", text),
                              fmt::format("{}:{}", path, i + 2));
    }
    const std::string& name = action->texts[i];
    auto found =
        static_cast<std::size_t>(std::find(facts.actions.begin(), facts.actions.end(), name) - facts.actions.begin());
    if (found == actions) {
      const auto [stop, wrong] = std::from_chars(name.data(), name.data() + name.size(), found);
      if (wrong != std::errc{} || stop != name.data() + name.size()) found = actions;
    }
    if (found >= actions) {
      return base::make_error(base::Code::kShape, fmt::format("'{}' is no action of {}", name, facts.id),
                              fmt::format("{}:{}", path, i + 2),
                              fmt::format("its actions are {}", fmt::join(facts.actions, ", ")));
    }
    if (!rows.emplace(state, static_cast<std::uint32_t>(rows.size())).second) {
      return base::make_error(base::Code::kValue, fmt::format("key {} appears twice", state),
                              fmt::format("{}:{}", path, i + 2));
    }
    probability.resize(probability.size() + actions, 0.0);
    probability[probability.size() - actions + found] = 1;
  }
  return agent::PolicyPtr(std::make_shared<agent::KeyPolicy>(actions, std::move(rows), std::move(probability)));
}

std::vector<std::string> sections_of(const data::Manifest& manifest, std::string_view kind) {
  std::vector<std::string> names;
  for (const data::OtherSection& section : manifest.others) {
    if (section.kind == kind) names.push_back(section.name);
  }
  return names;
}

check::Plan plan_worlds(const check::Blueprint& blueprint,
                        const std::function<std::string(const world::WorldSpec&)>& admits) {
  check::Plan plan;
  const data::Manifest& manifest = *blueprint.manifest;
  std::vector<std::string> reasons;
  const auto worlds = readable_worlds(manifest, admits, reasons);
  std::vector<std::string> policies = sections_of(manifest, "policy");
  // A rule acts on logs.
  std::erase_if(policies,
                [&](const std::string& name) { return !manifest.other("policy", name)->text("rule").empty(); });
  for (const std::string& name : policies) {
    const auto policy = read_policy(*manifest.other("policy", name));
    for (const auto& [world, spec] : worlds) {
      if (policy.ok() && !policy->worlds.empty() &&
          std::find(policy->worlds.begin(), policy->worlds.end(), world) == policy->worlds.end()) {
        continue;
      }
      check::Task task;
      task.subject = name + "@" + world;
      task.data = world;
      constexpr double kSecondsAStep = 3e-7;
      if (policy.ok())
        task.cost_seconds = 0.05 + kSecondsAStep * static_cast<double>(policy->budget.steps * policy->runs);
      plan.tasks.push_back(std::move(task));
    }
  }
  if (plan.tasks.empty()) {
    plan.not_applicable = !reasons.empty()                         ? fmt::format("{}", fmt::join(reasons, "; "))
                          : sections_of(manifest, "world").empty() ? "the manifest has no [world.NAME]"
                          : policies.empty() ? "the manifest has no [policy.NAME] that acts in worlds"
                                             : "no policy acts in any of the worlds";
  }
  return plan;
}

check::Plan plan_worlds_alone(const check::Blueprint& blueprint,
                              const std::function<std::string(const world::WorldSpec&)>& admits) {
  check::Plan plan;
  std::vector<std::string> reasons;
  for (const auto& [world, spec] : readable_worlds(*blueprint.manifest, admits, reasons)) {
    check::Task task;
    task.subject = world;
    task.data = world;
    task.cost_seconds = 0.1;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) {
    plan.not_applicable =
        reasons.empty() ? "the manifest has no [world.NAME]" : fmt::format("{}", fmt::join(reasons, "; "));
  }
  return plan;
}

base::Result<agent::Cell> run_policy(check::Context& context, const PolicyPart& policy, const world::WorldSpec& spec,
                                     const world::Audit& yardstick) {
  if (!policy.agent.empty()) {
    PL_TRY(const agent::AgentPtr made, agent::open_agent(policy.agent));
    return agent::run_cell(
        *made, spec, yardstick,
        {.runs = policy.runs, .budget = policy.budget, .seed = context.seed(), .cancel = context.cancel()});
  }
  agent::ScoreOptions scoring;
  scoring.seed = context.seed();
  scoring.cancel = context.cancel();
  PL_TRY(const world::WorldPtr world, world::make_world(spec, policy.budget.environments));
  agent::Run run;
  run.seed = context.seed();
  if (!policy.script.empty()) {
    PL_TRY(run.score, agent::score_script(*world, policy.script, scoring));
  } else {
    PL_TRY(const agent::PolicyPtr table, read_policy_table(policy.path, world->facts()));
    PL_TRY(run.score, agent::score(*world, *table, scoring));
  }
  run.fate = agent::judge(yardstick, run.score);
  return agent::fixed_cell(policy.name, spec, run, yardstick);
}

base::Status write_world_system(const std::string& folder, std::uint64_t seed, std::string_view world,
                                std::string_view policy, std::string_view claim) {
  std::ofstream out(folder + "/system.toml");
  out << fmt::format("[system]\nname = \"fixture\"\nseed = {}\n\n[world.w]\n{}\n", seed >> 1U, world);
  if (!policy.empty()) out << fmt::format("\n[policy.p]\n{}\n", policy);
  out << fmt::format("\n[[claim]]\nid = \"fixture\"\n{}", claim);
  if (!out.flush()) return base::make_error(base::Code::kIo, "cannot be written", folder + "/system.toml");
  return base::ok();
}

std::string off_switch_section(double mean, double deviation, double believed_mean, double believed_deviation) {
  return fmt::format(
      "id = \"off_switch\"\ndials = {{mean = {}, deviation = {}, believed_mean = {}, believed_deviation = {}}}", mean,
      deviation, believed_mean, believed_deviation);
}

}  // namespace plumbline::checks
