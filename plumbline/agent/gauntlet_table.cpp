#include "plumbline/agent/gauntlet_table.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/stats/intervals.hpp"

namespace plumbline::agent {
namespace {

using nlohmann::json;

constexpr double kLevel = 0.95;

json share_json(const StampedCell& cell) {
  const auto runs = static_cast<int>(cell.truths.size());
  const bool hacks = cell.fate == fate_name(Fate::kHacks);
  if (runs == 0 || !(hacks || cell.fate == fate_name(Fate::kSafe))) return nullptr;
  const auto share = stats::clopper_pearson(hacks ? cell.hacks : cell.safe, runs);
  if (!share.ok()) return nullptr;
  const auto low = share->low(kLevel);
  const auto high = share->high(kLevel);
  return {
      {"value", share->value}, {"low", low ? json(*low) : json()}, {"high", high ? json(*high) : json()}, {"n", runs}};
}

json standings_json(const std::vector<StampedCell>& cells) {
  struct Sum {
    std::string agent;
    std::map<std::string, int> fates;
    std::vector<double> truths;
  };
  std::vector<Sum> sums;
  std::map<std::string, std::size_t> places;
  for (const StampedCell& cell : cells) {
    const auto [at, fresh] = places.try_emplace(cell.agent, sums.size());
    if (fresh) sums.push_back({cell.agent, {}, {}});
    Sum& sum = sums[at->second];
    ++sum.fates[cell.fate];
    if (!cell.truths.empty()) sum.truths.push_back(std::clamp(cell.truth, -1.0, 1.0));
  }
  std::vector<std::pair<double, json>> rows;
  for (const Sum& sum : sums) {
    const bool ran = !sum.truths.empty();
    const double value = ran ? interquartile_mean(sum.truths) : -2;  // behind all that ran
    rows.emplace_back(value, json{{"agent", sum.agent},
                                  {"worlds", sum.truths.size()},
                                  {"verdicts", sum.fates},
                                  {"truth",
                                   {{"value", ran ? json(value) : json()},
                                    {"low", nullptr},
                                    {"high", nullptr},
                                    {"n", sum.truths.size()},
                                    {"method", "interquartile mean over worlds"},
                                    {"warnings", json::array()}}}});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  json out = json::array();
  for (auto& [value, row] : rows) out.push_back(std::move(row));
  return out;
}

json stamped_table(const Stamped& stamped) {
  json cells = json::array();
  for (const StampedCell& cell : stamped.cells) {
    const bool ran = !cell.truths.empty();
    cells.push_back({{"agent", cell.agent},
                     {"world", cell.world.id},
                     {"level", cell.world.level},
                     {"dials", cell.world.dials},
                     {"verdict", cell.fate},
                     {"truth", ran ? json(cell.truth) : json()},
                     {"observed", ran ? json(cell.observed) : json()},
                     {"hidden", ran ? json(cell.hidden) : json()},
                     {"reason", cell.reason},
                     {"share", share_json(cell)}});
  }
  return {{"seed", stamped.seed},
          {"seeds", stamped.seeds},
          {"steps", stamped.budget.steps},
          {"complete", true},
          {"standings", standings_json(stamped.cells)},
          {"cells", std::move(cells)}};
}

base::Error bad(const std::string& what) {
  return base::make_error(base::Code::kParse, fmt::format("{} is missing or of another type", what), "gauntlet",
                          "plumbline gauntlet --out FOLDER writes gauntlet.json");
}

bool number_or_null(const json& object, const char* name) {
  return object.contains(name) && (object[name].is_number() || object[name].is_null());
}

base::Result<json> cell_of(const json& cell) {
  if (!cell.is_object()) return bad("a cell");
  json out;
  for (const char* name : {"agent", "world", "level", "verdict", "reason"}) {
    if (!cell.contains(name) || !cell[name].is_string()) return bad(fmt::format("\"{}\" of a cell", name));
    out[name] = cell[name];
  }
  for (const char* name : {"truth", "observed", "hidden"}) {
    if (!number_or_null(cell, name)) return bad(fmt::format("\"{}\" of a cell", name));
    out[name] = cell[name];
  }
  out["dials"] = cell.contains("dials") && cell["dials"].is_object() ? cell["dials"] : json::object();
  out["share"] = nullptr;
  if (const auto share = cell.find("share"); share != cell.end() && share->is_object()) {
    json kept;
    for (const char* name : {"value", "low", "high", "n"})
      kept[name] = number_or_null(*share, name) ? (*share)[name] : json();
    out["share"] = std::move(kept);
  }
  return out;
}

base::Result<json> standing_of(const json& standing) {
  if (!standing.is_object() || !standing.contains("agent") || !standing["agent"].is_string() ||
      !standing.contains("worlds") || !standing["worlds"].is_number_unsigned() || !standing.contains("verdicts") ||
      !standing["verdicts"].is_object())
    return bad("a standing");
  json truth = {{"value", nullptr}, {"low", nullptr}, {"high", nullptr},
                {"n", 0},           {"method", ""},   {"warnings", json::array()}};
  if (const auto given = standing.find("truth"); given != standing.end() && given->is_object()) {
    for (const char* name : {"value", "low", "high", "n"}) {
      if (number_or_null(*given, name)) truth[name] = (*given)[name];
    }
    if (given->contains("method") && (*given)["method"].is_string()) truth["method"] = (*given)["method"];
    if (given->contains("warnings") && (*given)["warnings"].is_array()) {
      for (const json& warning : (*given)["warnings"])
        if (warning.is_string()) truth["warnings"].push_back(warning);
    }
  }
  json verdicts = json::object();
  for (const auto& [name, count] : standing["verdicts"].items()) {
    if (!count.is_number_unsigned()) return bad("\"verdicts\" of a standing");
    verdicts[name] = count;
  }
  return json{{"agent", standing["agent"]}, {"worlds", standing["worlds"]}, {"verdicts", verdicts}, {"truth", truth}};
}

}  // namespace

std::string table_json(const Stamped& stamped) { return stamped_table(stamped).dump(); }

base::Result<std::string> table_json(const std::string& text) {
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || !all.contains("schema") || !all["schema"].is_string()) return bad("schema");
  if (all["schema"] != "plumbline-gauntlet-1") {
    PL_TRY(const Stamped stamped, parse_stamped(text));
    return table_json(stamped);
  }
  json out;
  for (const char* name : {"seed", "seeds", "steps"}) {
    if (!all.contains(name) || !all[name].is_number_unsigned()) return bad(name);
    out[name] = all[name];
  }
  if (!all.contains("complete") || !all["complete"].is_boolean()) return bad("complete");
  out["complete"] = all["complete"];
  for (const char* name : {"cells", "standings"}) {
    if (!all.contains(name) || !all[name].is_array()) return bad(name);
    out[name] = json::array();
  }
  for (const json& cell : all["cells"]) {
    PL_TRY(json kept, cell_of(cell));
    out["cells"].push_back(std::move(kept));
  }
  for (const json& standing : all["standings"]) {
    PL_TRY(json kept, standing_of(standing));
    out["standings"].push_back(std::move(kept));
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace plumbline::agent
