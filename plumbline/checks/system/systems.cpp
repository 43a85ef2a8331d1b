#include "plumbline/checks/system/systems.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/jsonl.hpp"

namespace plumbline::checks {
namespace {

namespace sys = plumbline::system;

std::vector<std::string> texts_at(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return {};
  const auto* list = std::get_if<std::vector<std::string>>(&found->second);
  return list == nullptr ? std::vector<std::string>{} : *list;
}

base::Error bad_component(const data::OtherSection& section, std::string message, std::string hint = {}) {
  return base::make_error(base::Code::kValue, std::move(message),
                          fmt::format("[component.{}], line {}", section.name, section.line), std::move(hint));
}

base::Result<SystemPart::Recorded> read_recording(const data::OtherSection& section) {
  SystemPart::Recorded out;
  if (const auto path = section.paths.find("trace"); path != section.paths.end()) out.path = path->second.resolved;
  out.time = section.text("time");
  out.unit = section.text("unit");
  out.explored = section.text("explored");
  out.propensity = section.text("propensity");
  out.exposure = section.text("exposure");
  for (const char* key : {"time", "unit", "explored", "propensity"})
    if (out.path.empty() && !section.text(key).empty())
      return bad_component(section, fmt::format("{} names a column, and there is no trace", key),
                           "Give the file: trace = \"...\"");
  if (!out.propensity.empty() && out.explored.empty())
    return bad_component(section, "propensity is the probability of drawing by lot, and explored is not named",
                         "Name its column: explored = \"...\"");
  if (!out.exposure.empty() && out.explored.empty())
    return bad_component(section, "exposure is of what was drawn by lot, and explored is not named",
                         "Name its column: explored = \"...\"");
  return out;
}

base::Result<data::Table> read_trace_file(const std::string& path) {
  const bool lines = path.ends_with(".jsonl") || path.ends_with(".ndjson");
  return lines ? data::read_jsonl(path) : data::read_csv(path);
}

}  // namespace

base::Result<SystemPart> read_system(const data::Manifest& manifest) {
  std::vector<sys::Component> components;
  std::vector<SystemPart::Recorded> recorded;
  for (const std::string& name : sections_of(manifest, "component")) {
    const data::OtherSection& section = *manifest.other("component", name);
    sys::Component c;
    c.name = name;
    c.inputs = texts_at(section, "inputs");
    c.outputs = texts_at(section, "outputs");
    c.learns_from = texts_at(section, "learns_from");
    c.upstream = texts_at(section, "upstream");
    c.objective = section.text("objective");
    const auto minimises = section.keys.find("minimises");
    c.minimises = minimises != section.keys.end() && std::get<bool>(minimises->second);
    components.push_back(std::move(c));
    PL_TRY(SystemPart::Recorded one, read_recording(section));
    for (std::size_t k = 0; k < recorded.size() && !one.path.empty(); ++k)
      if (recorded[k].path == one.path && (recorded[k].time != one.time || recorded[k].unit != one.unit))
        return bad_component(
            section,
            fmt::format("shares its trace with {} and names other columns for time or unit", components[k].name),
            "Name the same");
    recorded.push_back(std::move(one));
  }
  PL_TRY(sys::SystemGraph graph, sys::SystemGraph::make(std::move(components)));
  return SystemPart{std::move(graph), std::move(recorded)};
}

base::Result<RecordedSystem> read_recorded(check::Context& context) {
  for (const std::string& name : sections_of(context.manifest(), "component"))
    PL_CHECK(context.section("component", name));
  PL_TRY(SystemPart part, read_system(context.manifest()));
  std::vector<std::unique_ptr<data::Table>> tables;
  std::vector<sys::TraceTable> joined;
  for (std::size_t i = 0; i < part.recorded.size(); ++i) {
    const SystemPart::Recorded& r = part.recorded[i];
    if (r.path.empty()) continue;
    auto known = std::find_if(joined.begin(), joined.end(), [&](const sys::TraceTable& t) { return t.name == r.path; });
    if (known == joined.end()) {
      PL_TRY(data::Table table, read_trace_file(r.path));
      tables.push_back(std::make_unique<data::Table>(std::move(table)));
      joined.push_back({tables.back().get(), r.path, r.time, r.unit, {}});
      known = joined.end() - 1;
    }
    known->parts.push_back({i, r.explored, r.propensity});
  }
  PL_TRY(sys::Trace trace, sys::make_trace(part.graph, joined));
  return RecordedSystem{std::move(part), std::move(trace)};
}

check::Plan plan_system(const check::Blueprint& blueprint,
                        const std::function<std::string(const SystemPart&)>& why_not) {
  check::Plan plan;
  const data::Manifest& manifest = *blueprint.manifest;
  if (sections_of(manifest, "component").empty()) {
    plan.not_applicable = "the manifest has no [component.NAME]";
    return plan;
  }
  const auto part = read_system(manifest);
  if (part.ok()) {
    const bool any = std::any_of(part->recorded.begin(), part->recorded.end(),
                                 [](const SystemPart::Recorded& r) { return !r.path.empty(); });
    plan.not_applicable = any ? why_not(*part) : "no [component.NAME] has a trace";
    if (!plan.not_applicable.empty()) return plan;
  }
  check::Task task;
  task.subject = "system";
  task.data = "traces";
  task.cost_seconds = 1;
  plan.tasks.push_back(std::move(task));
  return plan;
}

check::Artifact draw_graph(const sys::SystemGraph& graph, std::string caption, const EdgeWords& marked) {
  check::Artifact a;
  a.id = "parts";
  a.kind = "network";
  a.title = "The parts of the system";
  a.caption = std::move(caption);
  std::vector<std::string> from, to, kind, label, mark;
  std::vector<bool> drawn(graph.components().size(), false);
  for (const sys::Edge& edge : graph.edges()) {
    drawn[edge.from] = drawn[edge.to] = true;
    from.push_back(graph.component(edge.from).name);
    to.push_back(graph.component(edge.to).name);
    kind.emplace_back(sys::edge_kind_name(edge.kind));
    label.push_back(edge.signal);
    const auto words = marked.find({edge.from, edge.to});
    mark.push_back(words == marked.end() ? "" : words->second);
  }
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    if (drawn[i]) continue;
    from.push_back(graph.component(i).name);
    for (auto* list : {&to, &kind, &label, &mark}) list->emplace_back();
  }
  a.columns = {{"from", "", from}, {"to", "", to}, {"kind", "", kind}, {"label", "", label}, {"mark", "", mark}};
  return a;
}

check::Evidence bounded_evidence(const check::CheckInfo& facts, const std::string& metric, const std::string& part,
                                 const sys::Bounded& figure, const RecordedSystem& system) {
  stats::Estimate estimate = figure.low ? figure.estimate(std::string(sys::sampling_name(system.trace)))
                                        : stats::exact(figure.value, figure.n, figure.method);
  return check::make_evidence(facts, metric, {{"data", "traces"}, {"part", part}}, std::move(estimate));
}

check::Evidence exact_evidence(const check::CheckInfo& facts, const std::string& metric, const std::string& part,
                               double value, std::string method, const RecordedSystem& system) {
  return check::make_evidence(facts, metric, {{"data", "traces"}, {"part", part}},
                              stats::exact(value, static_cast<double>(system.trace.rows), std::move(method)));
}

std::string component_sections(const std::vector<sys::Component>& components, std::string_view time,
                               std::string_view unit, const std::map<std::string, std::string>& extra) {
  std::string out;
  const auto list = [&](std::string_view key, const std::vector<std::string>& names) {
    if (names.empty()) return;
    out += fmt::format("{} = [\"{}\"]\n", key, fmt::join(names, "\", \""));
  };
  for (const sys::Component& c : components) {
    out += fmt::format("[component.{}]\n", c.name);
    list("inputs", c.inputs);
    list("outputs", c.outputs);
    if (!c.objective.empty()) out += fmt::format("objective = \"{}\"\n", c.objective);
    list("learns_from", c.learns_from);
    out += "trace = \"trace.csv\"\n";
    if (!time.empty()) out += fmt::format("time = \"{}\"\n", time);
    if (!unit.empty()) out += fmt::format("unit = \"{}\"\n", unit);
    if (const auto more = extra.find(c.name); more != extra.end()) out += more->second;
    out += "\n";
  }
  return out;
}

base::Status write_parts_system(const std::string& folder, std::uint64_t seed,
                                const std::vector<sys::Component>& components, const data::Table& trace,
                                std::string_view unit, const std::map<std::string, std::string>& extra,
                                std::string_view claim) {
  PL_CHECK(data::write_csv(folder + "/trace.csv", trace));
  return write_fixture_manifest(folder, seed, component_sections(components, "time", unit, extra), claim);
}

}  // namespace plumbline::checks
