#include "apps/cli/gauntlet_curves.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "apps/cli/output.hpp"
#include "plumbline/agent/report_curves.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/case/report/pictures_page.hpp"
#include "plumbline/checks/reward/curve_pictures.hpp"

namespace plumbline::cli {
namespace {

using world::WorldSpec;

/// Ids of artifacts and files hold no slash.
std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '/' || c == ' ' || c == ':'; }, '-');
  return text;
}

/// What was printed, and in `folder` the JSON and the page.
template <class Cell, class Picture>
base::Status write_pages(const Options& o, const std::string& name, const std::string& json,
                         const std::vector<Cell>& cells, report::PicturesPage page, const Picture& picture) {
  if (o.out.empty()) return base::ok();
  page.build = PLUMBLINE_VERSION;
  for (const Cell& cell : cells) {
    const std::string where = agent::place_name(cell.world);
    if (cell.error.empty())
      page.sections.push_back({where, {}, {picture(name + "-" + plain(where), where, cell)}});
    else
      page.lead.push_back(fmt::format("{}: not run: {}", where, cell.error));
  }
  const std::filesystem::path folder(o.out);
  PL_CHECK(write_file(folder / (name + ".json"), json));
  PL_CHECK(write_file(folder / (name + ".html"), report::render_pictures(page)));
  std::cerr << "page: " << o.out << "/" << name << ".html\n";
  return base::ok();
}

/// 0, or 4 where a world was named and did not run; a sweep over all leaves out what cannot be enumerated.
template <class Cell>
int exit_of(const Options& o, const std::vector<Cell>& cells) {
  const bool failed = std::any_of(cells.begin(), cells.end(), [](const Cell& cell) { return !cell.error.empty(); });
  const bool none = std::all_of(cells.begin(), cells.end(), [](const Cell& cell) { return !cell.error.empty(); });
  return none || (failed && !o.worlds.empty()) ? 4 : 0;
}

agent::Budget budget_of(const Options& o) {
  agent::Budget budget;
  if (o.steps > 0) budget.steps = o.steps;
  return budget;
}

}  // namespace

base::Result<int> run_asking(const Session& session, const std::vector<WorldSpec>& worlds) {
  const Options& o = session.options;
  std::string id = "guard";
  if (o.agents.size() > 1 || (!o.agents.empty() && !o.agents.front().starts_with("guard"))) {
    return base::make_error(base::Code::kValue, "--asking turns one guard", "--agents",
                            "for example --agents guard:slips:expected/accuracy=0.9");
  }
  if (!o.agents.empty()) id = o.agents.front();
  const std::size_t colon = id.find(':');
  PL_TRY(const agent::GuardDesign design, agent::parse_guard(colon == std::string::npos ? "" : id.substr(colon + 1)));
  if (design.asking != agent::Asking::kGuard) {
    return base::make_error(base::Code::kValue, fmt::format("{} does not ask by the guard's rule", id), "--agents",
                            "leave asking= out: always, never and random are set beside it");
  }
  std::vector<agent::AskingCell> cells(worlds.size());
  const auto one = [&](std::size_t i) -> base::Status {
    cells[i].world = worlds[i];
    auto curve = agent::asking_curve(worlds[i], design, o.asking, o.values, budget_of(o), o.seed > 0 ? o.seed : 1,
                                     session.cancel);
    PL_CHECK(session.cancel.status());
    if (curve.ok())
      cells[i].curve = std::move(*curve);
    else if (curve.error().code == base::Code::kValue && !o.values.empty())
      return curve.error();
    else
      cells[i].error = curve.error().text();
    return base::ok();
  };
  PL_CHECK(base::parallel_for(worlds.size(), one));
  const std::string json = agent::asking_json(cells);
  report::PicturesPage page;
  page.title = "Is asking worth it?";
  page.answer = fmt::format("{} over {}", agent::guard_id(design), o.asking);
  page.lead = {
      "True performance against questions asked, exactly: the guard's rule, asking at random as often, always "
      "and never."};
  PL_CHECK(write_pages(o, "asking", json, cells, std::move(page),
                       [](const std::string& name, const std::string& where, const agent::AskingCell& cell) {
                         return checks::asking_picture(name, where, cell.curve);
                       }));
  std::cout << (o.json ? json : agent::asking_text(cells));
  return exit_of(o, cells);
}

base::Result<int> run_pressure(const Session& session, const std::vector<WorldSpec>& worlds) {
  const Options& o = session.options;
  agent::PressureOptions options;
  if (!o.agents.empty()) options.agents = o.agents;
  if (o.seeds > 0) options.runs = o.seeds;
  if (o.seed > 0) options.seed = o.seed;
  options.budget = budget_of(o);
  options.cancel = session.cancel;
  PL_CHECK(agent::validate(options));
  std::vector<agent::PressureCell> cells;
  for (const WorldSpec& spec : worlds) {
    session.progress.update("pressure: " + agent::place_name(spec), cells.size(), worlds.size());
    agent::PressureCell cell{spec, {}, {}};
    auto result = agent::pressure_curves(spec, options);
    PL_CHECK(session.cancel.status());
    if (result.ok())
      cell.result = std::move(*result);
    else
      cell.error = result.error().text();
    cells.push_back(std::move(cell));
  }
  const std::string json = agent::pressure_json(cells);
  report::PicturesPage page;
  page.title = "Where truth turns down";
  page.answer = "Reward and truth of a planner that chooses harder and harder, alone and behind protection";
  PL_CHECK(write_pages(o, "pressure", json, cells, std::move(page),
                       [](const std::string& name, const std::string& where, const agent::PressureCell& cell) {
                         return checks::pressure_picture(name, where, cell.result);
                       }));
  std::cout << (o.json ? json : agent::pressure_text(cells));
  return exit_of(o, cells);
}

}  // namespace plumbline::cli
