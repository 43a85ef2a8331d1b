#include "plumbline/agent/report.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::agent {
namespace {

using nlohmann::json;

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json scores_json(const world::Scores& s) { return {{"observed", s.observed}, {"hidden", s.hidden}, {"cost", s.cost}}; }

std::string place(const std::string& world, const std::string& level) { return world + "/" + level; }

json dials_json(const world::Audit& audit) {
  json dials = json::object();
  if (const world::WorldEntry* entry = world::find_world(audit.world); entry != nullptr) {
    for (std::size_t d = 0; d < audit.dials.size() && d < entry->facts.dials.size(); ++d) {
      dials[entry->facts.dials[d].name] = audit.dials[d];
    }
  }
  return dials;
}

json audit_object(const world::Audit& a) {
  json scripted = json::array();
  for (const world::Baseline& b : a.baselines) {
    json one = scores_json(b.scores);
    one["name"] = b.name;
    one["kind"] = b.kind;
    scripted.push_back(std::move(one));
  }
  json object = {
      {"world", a.world},
      {"level", a.level},
      {"dials", dials_json(a)},
      {"exact", a.exact},
      {"states", a.exact ? json(a.states) : json(nullptr)},
      {"observed_best", or_null(a.observed_best)},
      {"hidden_of_observed_best",
       a.hidden_of_observed_best ? json::array({a.hidden_of_observed_best->first, a.hidden_of_observed_best->second})
                                 : json(nullptr)},
      {"hidden_best", or_null(a.hidden_best)},
      {"observed_of_hidden_best", or_null(a.observed_of_hidden_best)},
      {"random", scores_json(a.random)},
      {"scripted", std::move(scripted)},
      {"separated", a.separated},
      {"baselines_fail", a.baselines_fail},
      {"honest", a.honest},
      {"best_truth", a.best_truth},
      {"reward_of_best_truth", a.reward_of_best_truth},
      {"best_reward", a.best_reward},
      {"truth_of_best_reward", a.truth_of_best_reward}};
  if (!a.exact) {
    object["why_not_exact"] = a.why_not;
    object["episodes"] = a.episodes;
  }
  return object;
}

json estimate_json(const stats::Estimate& e) {
  const auto low = e.low(0.95);
  const auto high = e.high(0.95);
  return {{"value", e.value},
          {"low", e.exactness == stats::Exactness::kExact ? json(e.value) : or_null(low)},
          {"high", e.exactness == stats::Exactness::kExact ? json(e.value) : or_null(high)},
          {"n", e.n},
          {"unit_of_sampling", e.unit_of_sampling},
          {"method", e.method},
          {"exactness", stats::exactness_name(e.exactness)},
          {"warnings", e.warnings}};
}

json ordering_json(const std::optional<Ordering>& ordering) {
  if (!ordering) return nullptr;
  json pairs = json::array();
  for (const Comparison& p : ordering->pairs) {
    json pair = {{"first", ordering->approaches[p.first]},
                 {"second", ordering->approaches[p.second]},
                 {"worlds", p.worlds},
                 {"exact", p.exact},
                 {"better", p.better == 0  ? json(nullptr)
                            : p.better > 0 ? json(ordering->approaches[p.first])
                                           : json(ordering->approaches[p.second])}};
    // Two that never met have no difference, which is not a difference of 0.
    for (const auto& [name, value] : {std::pair{"difference", p.difference},
                                      {"improvement", p.improvement},
                                      {"p_value", p.p_value},
                                      {"adjusted_p_value", p.adjusted}}) {
      pair[name] = p.worlds == 0 ? json(nullptr) : json(value);
    }
    pairs.push_back(std::move(pair));
  }
  json order = json::array();
  for (std::size_t a = 0; a < ordering->approaches.size(); ++a) {
    order.push_back({{"approach", ordering->approaches[a]}, {"lead", ordering->lead[a]}});
  }
  json stability = nullptr;
  if (ordering->stability) {
    const Stability& s = *ordering->stability;
    stability = {{"kendall", s.kendall}, {"low", s.low}, {"contradicted", s.contradicted}, {"halvings", s.halvings}};
  }
  return {{"order", std::move(order)},
          {"pairs", std::move(pairs)},
          {"level", ordering->level},
          {"correction", "holm"},
          {"null", kOrderingNull},
          {"runs", ordering->runs},
          {"stability", std::move(stability)}};
}

json power_json(const GauntletResult& result) {
  if (!result.power) return {{"why_not", result.no_power}};
  const OrderingPower& power = *result.power;
  json detection = json::array();
  for (const Detection& d : power.detection) {
    detection.push_back({{"strength", d.strength},
                         {"effect", d.effect},
                         {"detected", estimate_json(d.right)},
                         {"wrong_way", estimate_json(d.wrong)}});
  }
  return {{"trials", power.trials},
          {"runs", power.runs},
          {"worlds", power.worlds},
          {"comparisons", power.comparisons},
          {"detection", std::move(detection)},
          {"false_alarm", estimate_json(power.false_alarm)}};
}

/// Who is better than whom, one line an approach, best first.
std::string ordering_text(const Ordering& ordering, std::string_view what) {
  std::string out = fmt::format("order of {} by truth, {:g} % for all claims together (Holm), {} runs each\n", what,
                                100 * (1 - ordering.level), ordering.runs);
  for (std::size_t a = 0; a < ordering.approaches.size(); ++a) {
    std::vector<std::string> below;
    std::size_t exact = 0;
    for (const Comparison& p : ordering.pairs) {
      const bool beats = (p.first == a && p.better > 0) || (p.second == a && p.better < 0);
      if (!beats) continue;
      below.push_back(ordering.approaches[p.first == a ? p.second : p.first]);
      exact += p.exact ? 1 : 0;
    }
    out += fmt::format("{:>3}. {:<32} {:>+6.2f}  {}{}\n", a + 1, ordering.approaches[a], ordering.lead[a],
                       below.empty() ? "not told from any" : fmt::format("better than {}", fmt::join(below, ", ")),
                       exact == 0 ? "" : fmt::format(" ({} of these exactly)", exact));
  }
  out += fmt::format("rejected where two are told apart: {}\n", kOrderingNull);
  if (ordering.stability) {
    const Stability& s = *ordering.stability;
    out += fmt::format(
        "halves of the runs agree by Kendall's tau {:.2f} (at least {:.2f} in 95 % of {} halvings); {:.1f} % of the "
        "claims are the other way round in a half\n",
        s.kendall, s.low, s.halvings, 100 * s.contradicted);
  } else {
    out += "one run each: whether the order holds from run to run was not measured\n";
  }
  return out;
}

std::string power_text(const GauntletResult& result) {
  if (!result.power) return fmt::format("power of the order: not measured ({})\n", result.no_power);
  const OrderingPower& power = *result.power;
  const auto rate = [](const stats::Estimate& e) {
    return fmt::format("{:.3f} ({:.3f} to {:.3f})", e.value, e.low(0.95).value_or(0), e.high(0.95).value_or(1));
  };
  std::string out = fmt::format(
      "power of the order: {} trials of planted approaches, {} runs in {} worlds, {} comparisons; 95 % intervals\n",
      power.trials, power.runs, power.worlds, power.comparisons);
  for (const Detection& d : power.detection) {
    out += fmt::format("  truth {:.2f} higher: told {}, the wrong way {}\n", d.effect, rate(d.right), rate(d.wrong));
  }
  return out + fmt::format("  two copies of one: told apart {}\n", rate(power.false_alarm));
}

/// At most two digits behind the point, and no more than needed.
std::string short_number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string range_text(const std::pair<double, double>& range) {
  if (std::abs(range.first - range.second) < 5e-3) return short_number(range.first);
  return fmt::format("{} / {}", short_number(range.first), short_number(range.second));
}

std::string optional_text(const std::optional<double>& value) { return value ? short_number(*value) : "-"; }

struct Mark {
  char letter;
  const char* color;
};
Mark mark_of(Fate fate) {
  switch (fate) {
    case Fate::kSafe: return {'S', "\x1b[32m"};
    case Fate::kHacks: return {'H', "\x1b[31m"};
    case Fate::kIncapable: return {'i', "\x1b[90m"};
    case Fate::kUndetermined: return {'?', "\x1b[33m"};
    case Fate::kNotRun: return {'-', "\x1b[90m"};
    case Fate::kError: return {'E', "\x1b[35m"};
  }
  throw base::InternalError("mark_of: no such fate");
}

}  // namespace

std::string cell_place(const Cell& cell) {
  std::string text = cell.world.id;
  if (const world::WorldEntry* entry = world::find_world(cell.world.id);
      entry != nullptr && !cell.world.level.empty() && entry->facts.levels.size() > 1) {
    text += "/" + cell.world.level;
  }
  for (const auto& [dial, value] : cell.world.dials) text += fmt::format(" {}={}", dial, short_number(value));
  return text;
}

std::string facts_json(const world::WorldFacts& f) {
  json dials = json::array();
  for (const world::DialSpec& d : f.dials) {
    dials.push_back({{"name", d.name},
                     {"default", d.fallback},
                     {"low", d.low},
                     {"high", d.high},
                     {"whole", d.whole},
                     {"capability", d.capability},
                     {"lower_is_stronger", d.lower_is_stronger},
                     {"help", d.help},
                     {"sweep", d.sweep}});
  }
  const json facts = {{"id", f.id},
                      {"title", f.title},
                      {"story", f.story},
                      {"proxy", f.proxy},
                      {"truth", f.truth},
                      {"hack", f.hack},
                      {"levels", f.levels},
                      {"actions", f.actions},
                      {"horizon", f.horizon},
                      {"observation",
                       {{"shape", f.observation.shape},
                        {"categories", f.observation.categories},
                        {"low", f.observation.low},
                        {"high", f.observation.high}}},
                      {"dials", dials},
                      {"tags", f.tags},
                      {"sources", f.sources},
                      {"finite", f.finite},
                      {"family", f.family}};
  return facts.dump(2);
}

std::string audit_json(const std::vector<world::Audit>& audits, const HackedBy& hacked) {
  json all = json::array();
  for (const world::Audit& a : audits) {
    json object = audit_object(a);
    const auto known = hacked.find(place(a.world, a.level));
    object["hacked_by"] = known == hacked.end() ? json(nullptr) : json(known->second);
    all.push_back(std::move(object));
  }
  return all.dump(2) + "\n";
}

std::string audit_text(const std::vector<world::Audit>& audits, const HackedBy& hacked) {
  std::string out = fmt::format("{:<34} {:>7} {:>9} {:>17} {:>9} {:>9} {:>17}  {}\n", "world/level", "states", "best",
                                "its truth", "best", "its", "random", "separated, baselines fail, hacked by");
  out += fmt::format("{:<34} {:>7} {:>9} {:>17} {:>9} {:>9} {:>17}\n", "", "", "reward", "worst / best", "truth",
                     "reward", "reward / truth");
  bool sampled = false;
  for (const world::Audit& a : audits) {
    const auto known = hacked.find(place(a.world, a.level));
    const std::string by = known == hacked.end()   ? "not stamped"
                           : known->second.empty() ? "nobody"
                                                   : fmt::format("{}", fmt::join(known->second, ", "));
    const std::string mark = a.exact ? "" : "*";
    sampled = sampled || !a.exact;
    out += fmt::format(
        "{:<34} {:>7} {:>9} {:>17} {:>9} {:>9} {:>17}  {}, {}, {}\n", place(a.world, a.level) + mark,
        a.exact ? std::to_string(a.states) : "-", short_number(a.best_reward),
        a.hidden_of_observed_best ? range_text(*a.hidden_of_observed_best) : short_number(a.truth_of_best_reward),
        short_number(a.best_truth), short_number(a.reward_of_best_truth),
        fmt::format("{} / {}", short_number(a.random.observed), short_number(a.random.hidden)),
        a.separated ? "yes" : "no", a.baselines_fail ? "yes" : "no", by);
  }
  if (sampled) out += "* not enumerated: means over episodes of the random policy and the scripts, best of those\n";
  return out;
}

std::string audit_markdown(const std::vector<world::Audit>& audits) {
  std::string out =
      "| world | level | states | best reward | its truth (worst / best tie) | best truth | its reward | random: "
      "reward | "
      "random: truth | separated | baselines fail |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- "
      "|\n";
  for (const world::Audit& a : audits) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", a.world, a.level,
                       a.exact ? std::to_string(a.states) : "not exact", optional_text(a.observed_best),
                       a.hidden_of_observed_best ? range_text(*a.hidden_of_observed_best) : "-",
                       optional_text(a.hidden_best), optional_text(a.observed_of_hidden_best),
                       a.exact ? short_number(a.random.observed) : "-", a.exact ? short_number(a.random.hidden) : "-",
                       a.separated ? "yes" : "no", a.baselines_fail ? "yes" : "no");
  }
  return out;
}

std::string digest(const Cell& cell) {
  std::string text = cell.agent + ";" + cell_place(cell) + ";";
  for (const Run& run : cell.runs) {
    // Hexadecimal floats: every bit is in the text.
    text += fmt::format("{}:{:a}:{:a}:{:a};", run.seed, run.score.observed, run.score.hidden, run.score.cost);
  }
  return base::sha256_hex(text).substr(0, 16);
}

namespace {

/// Which part lost what, a line a cell that lost anything; then what is withheld, and why, a line a reason.
std::string splits_text(const GauntletResult& result) {
  std::string rows;
  std::map<std::string, std::size_t> withheld;
  for (std::size_t c = 0; c < result.cells.size(); ++c) {
    const Cell& cell = result.cells[c];
    if (cell.runs.empty()) continue;
    const std::optional<Split>& split = cell.runs.front().split;
    if (!split) continue;
    if (!split->parts) {
      ++withheld[split->withheld];
      continue;
    }
    const Attribution& a = *split->parts;
    const world::Audit& yardstick = result.yardsticks[result.yardstick_of[c]];
    if (std::abs(a.regret) <= 1e-6 * (1 + std::abs(yardstick.best_truth))) continue;
    const auto share = [&](Part part) {
      // A learner's beliefs have no share of their own; a nought would claim one.
      const auto p = static_cast<std::size_t>(part);
      return split->apart[p] ? short_number(a.share[p]) : std::string("-");
    };
    rows += fmt::format("{:<34} {:<30} {:>9} {:>9} {:>9} {:>9}\n", cell_place(cell), cell.agent, short_number(a.regret),
                        share(Part::kBeliefs), share(Part::kValues), share(Part::kRule));
  }
  std::string out;
  if (!rows.empty()) {
    out += fmt::format("\n{:<34} {:<30} {:>9} {:>9} {:>9} {:>9}\n", "which part lost it, in truth", "agent", "regret",
                       "beliefs", "values", "rule");
    out += rows + "(first run of each cell, exact; - counted to the rule)\n";
  }
  for (const auto& [why, count] : withheld) out += fmt::format("no split for {} cells: {}\n", count, why);
  return out;
}

/// Why cells did not run, a line an agent.
std::string refusals_text(const GauntletResult& result) {
  std::string out;
  for (const Standing& standing : result.standings) {
    std::vector<std::pair<std::string, std::size_t>> reasons;  // in the order of the cells
    std::size_t cells = 0;
    std::size_t refused = 0;
    for (const Cell& cell : result.cells) {
      if (cell.agent != standing.agent) continue;
      ++cells;
      if (cell.fate != Fate::kNotRun || cell.reason.empty()) continue;
      ++refused;
      const auto known =
          std::find_if(reasons.begin(), reasons.end(), [&cell](const auto& r) { return r.first == cell.reason; });
      if (known == reasons.end())
        reasons.emplace_back(cell.reason, 1);
      else
        ++known->second;
    }
    if (refused == 0) continue;
    const auto most = std::max_element(reasons.begin(), reasons.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    out += fmt::format("- {} in {} of {}: {}{}\n", standing.agent, refused, cells, most->first,
                       reasons.size() == 1 ? "" : fmt::format("; and {} more reasons, see --json", reasons.size() - 1));
  }
  return out;
}

}  // namespace

std::string gauntlet_text(const GauntletResult& result, bool color) {
  std::string out;
  std::vector<std::string> places;
  std::vector<std::string> agents;
  for (const Cell& cell : result.cells) {
    const std::string here = cell_place(cell);
    if (std::find(places.begin(), places.end(), here) == places.end()) places.push_back(here);
  }
  for (const Standing& standing : result.standings) agents.push_back(standing.agent);
  std::size_t width = 30;  // ids from outside are paths
  for (const Standing& s : result.standings) width = std::max(width, s.agent.size());
  out += fmt::format("{:<{}} {:>6} {:>5}  {:<20} {:>5} {:>5} {:>10} {:>12}\n", "agent", width, "worlds", "truth",
                     "95 % interval", "safe", "hacks", "incapable", "undetermined");
  for (const Standing& s : result.standings) {
    const auto count = [&s](const char* name) {
      const auto entry = s.fates.find(name);
      return entry == s.fates.end() ? std::size_t{0} : entry->second;
    };
    const auto low = s.truth.low(0.95);
    const auto high = s.truth.high(0.95);
    const std::string interval = s.cells == 0  ? "did not run"
                                 : low && high ? fmt::format("{:.2f} to {:.2f}", *low, *high)
                                               : "too few runs";
    out += fmt::format("{:<{}} {:>6} {:>5}  {:<20} {:>5} {:>5} {:>10} {:>12}\n", s.agent, width, s.cells,
                       s.cells == 0 ? "-" : fmt::format("{:.2f}", s.truth.value), interval, count("safe"),
                       count("hacks"), count("incapable"), count("undetermined"));
  }
  out += "\n(truth: 0 is a random policy, 1 the best known; interquartile mean over runs)\n\n";
  for (std::size_t a = 0; a < agents.size(); ++a) {
    out += fmt::format("{:>34} {}{}\n", "", fmt::format("{:{}}", "", 2 * a), agents[a]);
  }
  for (const std::string& here : places) {
    out += fmt::format("{:<34} ", here);
    for (const std::string& agent : agents) {
      for (const Cell& cell : result.cells) {
        if (cell.agent != agent || cell_place(cell) != here) continue;
        const Mark mark = mark_of(cell.fate);
        out += color ? fmt::format("{}{}\x1b[0m ", mark.color, mark.letter) : fmt::format("{} ", mark.letter);
        break;
      }
    }
    while (out.ends_with(' ')) out.pop_back();
    out += '\n';
  }
  out += "\nS safe, H hacks, i incapable, ? undetermined, - did not run, E error\n";
  out += refusals_text(result);
  out += splits_text(result);
  if (result.ordering) out += "\n" + ordering_text(*result.ordering, "agents");
  if (result.approaches) out += "\n" + ordering_text(*result.approaches, "approaches, agents of one rule together");
  if (!result.no_power.empty() || result.power) out += power_text(result);
  std::string troubles;
  for (const Cell& cell : result.cells) {
    if (cell.fate == Fate::kError)
      troubles += fmt::format("error: {} in {}: {}\n", cell.agent, cell_place(cell), cell.reason);
  }
  if (!troubles.empty()) out += "\n" + troubles;
  if (!result.complete) out += "\nStopped before the end: what had not run is marked -.\n";
  return out;
}

namespace {

json split_json(const std::optional<Split>& split) {
  if (!split) return nullptr;
  if (!split->parts) return {{"withheld", split->withheld}};
  json object = {{"run", 0}, {"regret", split->parts->regret}, {"unexplained", split->parts->unexplained}};
  for (const Part part : kParts) {
    const auto p = static_cast<std::size_t>(part);
    object[std::string(part_name(part))] = split->apart[p] ? json(split->parts->share[p]) : json(nullptr);
    if (!split->note[p].empty()) object["notes"][std::string(part_name(part))] = split->note[p];
  }
  return object;
}

json account_json(const Account& a) {
  if (a.text.empty()) return nullptr;
  return {{"text", a.text},
          {"cost_factor", a.cost_factor > 0 ? json(a.cost_factor) : json(nullptr)},
          {"questions", a.questions},
          {"answered", a.answered}};
}

}  // namespace

std::string gauntlet_json(const GauntletResult& result, const GauntletOptions& options) {
  json cells = json::array();
  for (std::size_t c = 0; c < result.cells.size(); ++c) {
    const Cell& cell = result.cells[c];
    json runs = json::array();
    for (const Run& run : cell.runs) {
      runs.push_back({{"seed", run.seed},
                      {"observed", run.score.observed},
                      {"hidden", run.score.hidden},
                      {"cost", run.score.cost},
                      {"exact", run.score.exact},
                      {"episodes", run.score.episodes},
                      {"observed_error", run.score.observed_error},
                      {"hidden_error", run.score.hidden_error},
                      {"fate", fate_name(run.fate)},
                      {"account", account_json(run.account)}});
    }
    json object = {{"agent", cell.agent},
                   {"world", cell.world.id},
                   {"level", cell.world.level},
                   {"dials", cell.world.dials},
                   {"verdict", fate_name(cell.fate)},
                   {"reason", cell.reason},
                   {"yardstick", result.yardstick_of[c]},
                   {"digest", digest(cell)},
                   {"runs", std::move(runs)}};
    if (!cell.runs.empty()) {
      object["observed"] = cell.observed;
      object["hidden"] = cell.hidden;
      object["truth"] = cell.truth;
      object["share"] = estimate_json(cell.share);
      object["split"] = split_json(cell.runs.front().split);
    } else {  // nothing was measured: null, never zero
      for (const char* name : {"observed", "hidden", "truth", "share", "split"}) object[name] = nullptr;
    }
    cells.push_back(std::move(object));
  }
  json standings = json::array();
  for (const Standing& s : result.standings) {
    standings.push_back({{"agent", s.agent},
                         {"worlds", s.cells},
                         {"verdicts", s.fates},
                         {"truth", s.cells == 0 ? json(nullptr) : estimate_json(s.truth)}});
  }
  json yardsticks = json::array();
  for (const world::Audit& a : result.yardsticks) yardsticks.push_back(audit_object(a));
  const json all = {{"schema", "plumbline-gauntlet-1"},
                    {"seed", options.seed},
                    {"seeds", options.seeds},
                    {"steps", options.budget.steps},
                    {"environments", options.budget.environments},
                    {"complete", result.complete},
                    {"standings", std::move(standings)},
                    {"ordering", ordering_json(result.ordering)},
                    {"approaches", ordering_json(result.approaches)},
                    {"power", power_json(result)},
                    {"cells", std::move(cells)},
                    {"yardsticks", std::move(yardsticks)}};
  return all.dump(1) + "\n";
}

}  // namespace plumbline::agent
