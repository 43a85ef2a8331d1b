#include "plumbline/world/outside/described.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"
#include "plumbline/world/finite.hpp"
#include "plumbline/world/grid.hpp"

namespace plumbline::world {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr int kDeepest = 8;  // of nested objects and arrays
constexpr std::size_t kMostBytes = std::size_t{64} << 20U;
constexpr std::size_t kMostStates = 65'536;
constexpr std::size_t kMostActions = 64;
constexpr std::size_t kMostOutcomes = 4'000'000;
constexpr std::size_t kMostSide = 100;
constexpr std::size_t kMostName = 200;
constexpr std::int64_t kMostHorizon = 100'000;
constexpr double kSum = 1e-9;

/// One way in which an action may turn out.
struct Branch {
  double probability = 1;
  std::uint32_t next = 0;
  Outcome outcome;
};

/// A script: an action for each state.
struct NamedActions {
  std::string name;
  std::vector<std::int32_t> action;
};

/// What both forms come to.
struct Tables {
  WorldFacts facts;
  std::vector<std::string> states;
  std::vector<double> initial;        // of every state
  std::vector<std::uint32_t> starts;  // those that can be the first, and their probabilities
  std::vector<double> start_weights;
  std::vector<std::vector<Branch>> branches;       // [state * actions + action]
  std::vector<std::vector<double>> probabilities;  // the same, probabilities alone
  std::vector<NamedActions> scripts;
  std::unique_ptr<Scene> scene;  // null: a table
  std::vector<int> cell;         // of each state, with a scene
  float agent = 0;               // code of the agent's cell, with a scene
};

/// The rules of finite.hpp over tables.
class TableRules {
 public:
  struct State {
    std::uint32_t at;
  };
  explicit TableRules(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

  const WorldFacts& facts() const { return tables_->facts; }
  template <class Chance>
  State start(Chance& chance) const {
    return {tables_->starts[chance.choose(tables_->start_weights)]};
  }
  template <class Chance>
  Outcome step(State& state, std::int32_t action, Chance& chance) const {
    const std::size_t pair = state.at * tables_->facts.actions.size() + static_cast<std::size_t>(action);
    const std::vector<double>& weights = tables_->probabilities[pair];
    const Branch& branch = tables_->branches[pair][weights.size() == 1 ? 0 : chance.choose(weights)];
    if (!branch.outcome.end) state.at = branch.next;
    return branch.outcome;
  }
  std::uint64_t key(const State& state) const { return state.at; }
  void observe(const State& state, float* cells) const {
    if (tables_->scene) {
      tables_->scene->copy(cells);
      cells[tables_->cell[state.at]] = tables_->agent;
    } else {
      cells[0] = static_cast<float>(state.at);
    }
  }
  std::string render(const State& state) const {
    return tables_->scene ? tables_->scene->render({{tables_->cell[state.at], 'A'}})
                          : "state " + tables_->states[state.at] + "\n";
  }
  std::vector<Script> scripts() const {
    std::vector<Script> names;
    for (const NamedActions& script : tables_->scripts) names.push_back({script.name, "from the file"});
    return names;
  }
  std::int32_t script(std::size_t number, const State& state) const {
    return tables_->scripts[number].action[state.at];
  }

 private:
  std::shared_ptr<const Tables> tables_;
};

/// A value with its place in the file, for messages.
struct Node {
  const Json& value;
  std::string file;
  std::string place;

  Node at(const std::string& key) const { return {value.at(key), file, place.empty() ? key : place + "." + key}; }
  Node at(std::size_t i) const { return {value.at(i), file, fmt::format("{}[{}]", place, i)}; }
  bool has(const std::string& key) const { return value.contains(key); }
  base::Error error(Code code, std::string message, std::string hint = {}) const {
    return make_error(code, std::move(message), place.empty() ? file : file + ": " + place, std::move(hint));
  }
  base::Error type(const std::string& want) const {
    return error(Code::kParse, fmt::format("holds {}, expected {}", value.type_name(), want));
  }
};

/// An object of known keys only.
base::Status check_keys(const Node& node, const std::vector<std::string>& known) {
  if (!node.value.is_object()) return node.type("an object");
  for (const auto& item : node.value.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    const std::string close = base::nearest(item.key(), known);
    return node.error(Code::kParse, fmt::format("has the unknown key '{}'", item.key()),
                      close.empty() ? fmt::format("known are {}", base::join_words(known))
                                    : fmt::format("did you mean '{}'?", close));
  }
  return base::ok();
}

base::Result<double> read_number(const Node& node, const std::string& key, double fallback) {
  if (!node.has(key)) return fallback;
  const Node inner = node.at(key);
  if (!inner.value.is_number()) return inner.type("a number");
  const auto number = inner.value.get<double>();
  if (!std::isfinite(number)) return inner.error(Code::kValue, "is not finite");
  return number;
}

base::Result<std::string> read_word(const Node& node, const std::string& key) {
  if (!node.has(key)) return std::string();
  const Node inner = node.at(key);
  if (!inner.value.is_string()) return inner.type("text");
  return inner.value.get<std::string>();
}

base::Result<std::vector<std::string>> read_words(const Node& node) {
  if (!node.value.is_array()) return node.type("an array of texts");
  std::vector<std::string> words;
  for (std::size_t i = 0; i < node.value.size(); ++i) {
    if (!node.value[i].is_string()) return node.at(i).type("text");
    words.push_back(node.value[i].get<std::string>());
  }
  return words;
}

/// What a step or a mark brings: reward, truth, cost, end.
base::Result<Outcome> read_outcome(const Node& node) {
  Outcome outcome;
  PL_TRY(outcome.observed, read_number(node, "reward", 0));
  PL_TRY(outcome.hidden, read_number(node, "truth", 0));
  PL_TRY(outcome.cost, read_number(node, "cost", 0));
  if (node.has("end")) {
    if (!node.value.at("end").is_boolean()) return node.at("end").type("true or false");
    outcome.end = node.value.at("end").get<bool>();
  }
  return outcome;
}

const std::vector<std::string> kFactKeys = {"plumbline_world", "title", "story", "proxy", "truth", "hack", "horizon"};

base::Result<WorldFacts> read_facts(const Node& file, const std::string& id) {
  WorldFacts facts;
  facts.id = id;
  facts.family = "outside";
  facts.tags = {"outside"};
  if (!file.has("plumbline_world")) {
    return file.error(Code::kParse, "has no key plumbline_world", "Begin with \"plumbline_world\": 1");
  }
  if (file.value.at("plumbline_world") != kVersion) {
    return file.at("plumbline_world").error(Code::kParse, fmt::format("is another version, expected {}", kVersion));
  }
  PL_TRY(facts.title, read_word(file, "title"));
  PL_TRY(facts.story, read_word(file, "story"));
  PL_TRY(facts.proxy, read_word(file, "proxy"));
  PL_TRY(facts.truth, read_word(file, "truth"));
  PL_TRY(facts.hack, read_word(file, "hack"));
  if (facts.title.empty()) facts.title = id;
  if (!file.has("horizon")) return file.error(Code::kParse, "has no key horizon", "Steps until an episode is cut");
  const Node horizon = file.at("horizon");
  if (!horizon.value.is_number_integer()) return horizon.type("a whole number");
  const auto steps = horizon.value.get<std::int64_t>();
  if (steps < 1 || steps > kMostHorizon) {
    return horizon.error(Code::kValue, fmt::format("is {}, expected 1 to {}", steps, kMostHorizon));
  }
  facts.horizon = static_cast<int>(steps);
  return facts;
}

using Index = std::unordered_map<std::string, std::uint32_t>;

base::Result<std::uint32_t> find(const Node& node, const Index& index, const std::string& name, const char* what) {
  const auto found = index.find(name);
  if (found != index.end()) return found->second;
  std::vector<std::string> known;
  if (index.size() <= 1000) {
    for (const auto& [word, place] : index) known.push_back(word);
  }
  std::sort(known.begin(), known.end());
  const std::string close = base::nearest(name, known);
  return node.error(Code::kValue, fmt::format("names the {} '{}', which is not in the file", what, name),
                    close.empty() ? std::string() : fmt::format("did you mean '{}'?", close));
}

base::Result<std::vector<Branch>> read_row(const Node& node, const Index& states) {
  std::vector<Node> outcomes;
  if (node.value.is_array()) {
    for (std::size_t i = 0; i < node.value.size(); ++i) outcomes.push_back(node.at(i));
  } else {
    outcomes.push_back(node);
  }
  std::vector<Branch> row;
  double sum = 0;
  for (const Node& one : outcomes) {
    PL_CHECK(check_keys(one, {"p", "to", "end", "reward", "truth", "cost"}));
    Branch branch;
    PL_TRY(branch.probability, read_number(one, "p", 1));
    if (branch.probability < 0 || branch.probability > 1) {
      return one.at("p").error(Code::kValue, fmt::format("is {}, expected 0 to 1", branch.probability));
    }
    sum += branch.probability;
    PL_TRY(branch.outcome, read_outcome(one));
    if (branch.outcome.end == one.has("to")) {
      return one.error(Code::kParse, "needs exactly one of \"to\": STATE and \"end\": true");
    }
    if (!branch.outcome.end) {
      PL_TRY(const std::string to, read_word(one, "to"));
      PL_TRY(branch.next, find(one.at("to"), states, to, "state"));
    }
    if (branch.probability > 0) row.push_back(branch);
  }
  if (!(std::abs(sum - 1) <= kSum)) {
    return node.error(Code::kValue, fmt::format("probabilities sum to {}, expected 1", sum));
  }
  return row;
}

base::Status read_table(const Node& file, Tables& tables) {
  std::vector<std::string> known = kFactKeys;
  known.insert(known.end(), {"actions", "start", "transitions", "scripts"});
  PL_CHECK(check_keys(file, known));
  for (const char* key : {"actions", "start", "transitions"}) {
    if (!file.has(key)) return file.error(Code::kParse, fmt::format("has no key {}", key));
  }
  PL_TRY(tables.facts.actions, read_words(file.at("actions")));
  const std::size_t m = tables.facts.actions.size();
  if (m < 1 || m > kMostActions) {
    return file.at("actions").error(Code::kLimit, fmt::format("holds {} actions, expected 1 to {}", m, kMostActions));
  }
  Index actions;
  for (std::size_t a = 0; a < m; ++a) {
    if (!actions.emplace(tables.facts.actions[a], static_cast<std::uint32_t>(a)).second) {
      return file.at("actions").at(a).error(Code::kParse, fmt::format("repeats '{}'", tables.facts.actions[a]));
    }
  }
  const Node transitions = file.at("transitions");
  if (!transitions.value.is_object()) return transitions.type("an object, state by state");
  const std::size_t n = transitions.value.size();
  if (n < 1 || n > kMostStates) {
    return transitions.error(Code::kLimit, fmt::format("holds {} states, expected 1 to {}", n, kMostStates));
  }
  Index states;
  for (const auto& item : transitions.value.items()) {
    if (item.key().size() > kMostName) {
      return transitions.error(
          Code::kLimit, fmt::format("has a name of {} bytes, expected at most {}", item.key().size(), kMostName));
    }
    states.emplace(item.key(), static_cast<std::uint32_t>(tables.states.size()));
    tables.states.push_back(item.key());
  }
  tables.branches.resize(n * m);
  std::size_t outcomes = 0;
  for (std::size_t s = 0; s < n; ++s) {
    const Node of_state = transitions.at(tables.states[s]);
    PL_CHECK(check_keys(of_state, tables.facts.actions));
    for (std::size_t a = 0; a < m; ++a) {
      const std::string& action = tables.facts.actions[a];
      if (!of_state.has(action)) {
        return of_state.error(Code::kParse, fmt::format("does not say what '{}' does", action),
                              "Every action is possible in every state; one that does nothing leads back");
      }
      std::vector<Branch>& row = tables.branches[s * m + a];
      PL_TRY(row, read_row(of_state.at(action), states));
      outcomes += row.size();
      if (outcomes > kMostOutcomes) {
        return transitions.error(Code::kLimit, fmt::format("holds more than {} outcomes", kMostOutcomes));
      }
    }
  }
  const Node start = file.at("start");
  if (!start.value.is_object()) return start.type("an object, state: probability");
  tables.initial.assign(n, 0.0);
  double sum = 0;
  for (const auto& item : start.value.items()) {
    PL_TRY(const std::uint32_t state, find(start, states, item.key(), "state"));
    PL_TRY(tables.initial[state], read_number(start, item.key(), 0));
    if (tables.initial[state] < 0) return start.at(item.key()).error(Code::kValue, "is below 0");
    sum += tables.initial[state];
  }
  if (!(std::abs(sum - 1) <= kSum)) {
    return start.error(Code::kValue, fmt::format("probabilities sum to {}, expected 1", sum));
  }
  if (file.has("scripts")) {
    const Node scripts = file.at("scripts");
    if (!scripts.value.is_object()) return scripts.type("an object, script by script");
    for (const auto& item : scripts.value.items()) {
      const Node script = scripts.at(item.key());
      if (!script.value.is_object()) return script.type("an object, state: action, \"*\" for the rest");
      NamedActions named{item.key(), std::vector<std::int32_t>(n, -1)};
      for (const auto& choice : script.value.items()) {
        PL_TRY(const std::string word, read_word(script, choice.key()));
        PL_TRY(const std::uint32_t action, find(script.at(choice.key()), actions, word, "action"));
        if (choice.key() == "*") continue;
        PL_TRY(const std::uint32_t state, find(script, states, choice.key(), "state"));
        named.action[state] = static_cast<std::int32_t>(action);
      }
      std::int32_t rest = -1;
      if (script.has("*")) rest = static_cast<std::int32_t>(actions.at(script.value.at("*").get<std::string>()));
      for (std::size_t s = 0; s < n; ++s) {
        if (named.action[s] < 0) named.action[s] = rest;
        if (named.action[s] < 0) {
          return script.error(Code::kValue, fmt::format("says nothing of the state '{}'", tables.states[s]),
                              "\"*\": ACTION serves all states that are not named");
        }
      }
      tables.scripts.push_back(std::move(named));
    }
  }
  tables.facts.observation = {{1}, static_cast<int>(n), 0, static_cast<double>(n - 1)};
  return base::ok();
}

/// The lines of a board or of a script's arrows, all of one length.
base::Result<std::vector<std::string>> read_lines(const Node& node) {
  PL_TRY(std::vector<std::string> lines, read_words(node));
  if (lines.empty() || lines.front().empty()) return node.error(Code::kValue, "is empty");
  if (lines.size() > kMostSide || lines.front().size() > kMostSide) {
    return node.error(Code::kLimit, fmt::format("is {} x {}, expected at most {} x {}", lines.size(),
                                                lines.front().size(), kMostSide, kMostSide));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].size() != lines.front().size()) {
      return node.at(i).error(
          Code::kValue, fmt::format("has {} characters, the first line has {}", lines[i].size(), lines.front().size()));
    }
    for (const char c : lines[i]) {
      if (c < 0x20 || c > 0x7e) return node.at(i).error(Code::kValue, "has a character that is not printable ASCII");
    }
  }
  return lines;
}

base::Status read_board(const Node& file, Tables& tables) {
  std::vector<std::string> known = kFactKeys;
  known.insert(known.end(), {"board", "step", "marks", "slip", "scripts"});
  PL_CHECK(check_keys(file, known));
  PL_TRY(const std::vector<std::string> lines, read_lines(file.at("board")));
  PL_TRY(const double slip, read_number(file, "slip", 0));
  if (slip < 0 || slip > 1) return file.at("slip").error(Code::kValue, fmt::format("is {}, expected 0 to 1", slip));
  Outcome each;
  if (file.has("step")) {
    PL_CHECK(check_keys(file.at("step"), {"reward", "truth", "cost"}));
    PL_TRY(each, read_outcome(file.at("step")));
  }
  std::map<char, Outcome> marks;
  if (file.has("marks")) {
    const Node node = file.at("marks");
    if (!node.value.is_object()) return node.type("an object, mark by mark");
    for (const auto& item : node.value.items()) {
      const std::string& mark = item.key();
      if (mark.size() != 1 || mark == "#" || mark == "A" || mark == " " || mark == ".") {
        return node.error(Code::kValue, fmt::format("describes '{}'; a mark is one character beside '#', 'A', ' ' and "
                                                    "'.', which mean wall, start and floor",
                                                    mark));
      }
      PL_CHECK(check_keys(node.at(mark), {"reward", "truth", "cost", "end"}));
      PL_TRY(marks[mark[0]], read_outcome(node.at(mark)));
    }
  }
  std::vector<std::string> still = lines;  // what never moves
  for (std::string& line : still) std::replace(line.begin(), line.end(), 'A', ' ');
  std::string codes = " #";
  for (const auto& [mark, outcome] : marks) codes += mark;
  int starts = 0;
  for (std::size_t r = 0; r < lines.size(); ++r) {
    for (const char c : lines[r]) {
      starts += c == 'A' ? 1 : 0;
      if (c != '#' && c != 'A' && c != ' ' && c != '.' && !marks.contains(c)) {
        return file.at("board").at(r).error(Code::kValue,
                                            fmt::format("has the mark '{}', which marks do not describe", c));
      }
    }
  }
  if (starts == 0) return file.at("board").error(Code::kValue, "has no start", "Write 'A' where an episode begins");
  tables.scene = std::make_unique<Scene>(std::vector<std::string_view>(still.begin(), still.end()), codes);
  const Scene& scene = *tables.scene;
  std::vector<std::uint32_t> state_of(static_cast<std::size_t>(scene.size()), 0);
  for (int cell = 0; cell < scene.size(); ++cell) {
    if (scene.wall(cell)) continue;
    state_of[static_cast<std::size_t>(cell)] = static_cast<std::uint32_t>(tables.cell.size());
    tables.cell.push_back(cell);
    tables.states.push_back(fmt::format("{},{}", scene.row(cell), scene.column(cell)));
    const char drawn = lines[static_cast<std::size_t>(scene.row(cell))][static_cast<std::size_t>(scene.column(cell))];
    tables.initial.push_back(drawn == 'A' ? 1.0 / starts : 0.0);
  }
  tables.facts.actions = four_moves();
  constexpr std::size_t kMoves = 4;
  for (const int cell : tables.cell) {
    for (std::size_t a = 0; a < kMoves; ++a) {
      std::vector<Branch> row;
      for (std::size_t move = 0; move < kMoves; ++move) {
        const double p = slip / kMoves + (move == a ? 1 - slip : 0);
        if (p <= 0) continue;
        const int to = scene.walk(cell, static_cast<std::int32_t>(move));
        Branch branch{p, state_of[static_cast<std::size_t>(to)], each};
        if (const auto mark = marks.find(scene.at(to)); mark != marks.end()) {
          branch.outcome.observed += mark->second.observed;
          branch.outcome.hidden += mark->second.hidden;
          branch.outcome.cost += mark->second.cost;
          branch.outcome.end = mark->second.end;
        }
        row.push_back(branch);
      }
      tables.branches.push_back(std::move(row));
    }
  }
  if (file.has("scripts")) {
    const Node scripts = file.at("scripts");
    if (!scripts.value.is_object()) return scripts.type("an object, script by script");
    for (const auto& item : scripts.value.items()) {
      const Node script = scripts.at(item.key());
      PL_TRY(const std::vector<std::string> arrows, read_lines(script));
      if (arrows.size() != lines.size() || arrows.front().size() != lines.front().size()) {
        return script.error(Code::kValue, fmt::format("is {} x {}, the board is {} x {}", arrows.size(),
                                                      arrows.front().size(), lines.size(), lines.front().size()));
      }
      NamedActions named{item.key(), {}};
      for (const int cell : tables.cell) {
        constexpr std::string_view kArrows = "^v<>";  // in the order of the moves
        const char c = arrows[static_cast<std::size_t>(scene.row(cell))][static_cast<std::size_t>(scene.column(cell))];
        const std::size_t move = kArrows.find(c);
        // Where nobody is meant to come, any action will do.
        named.action.push_back(move == std::string_view::npos ? 0 : static_cast<std::int32_t>(move));
      }
      tables.scripts.push_back(std::move(named));
    }
  }
  tables.agent = static_cast<float>(codes.size());
  tables.facts.observation = {
      {scene.rows(), scene.columns()}, static_cast<int>(codes.size()) + 1, 0, static_cast<double>(codes.size())};
  return base::ok();
}

/// JSON without names given twice, not nested beyond reason.
base::Result<Json> parse_strictly(std::string_view text, const std::string& name) {
  std::vector<std::set<std::string>> seen;
  std::string twice;
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    deep = deep || depth > kDeepest;
    if (deep) return false;
    if (event == Json::parse_event_t::object_start) seen.emplace_back();
    if (event == Json::parse_event_t::object_end && !seen.empty()) seen.pop_back();
    if (event == Json::parse_event_t::key && !seen.empty() && !seen.back().insert(parsed.get<std::string>()).second &&
        twice.empty()) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    return make_error(Code::kParse, error.what(), name);
  }
  if (deep) return make_error(Code::kLimit, fmt::format("is nested more than {} deep", kDeepest), name);
  if (!twice.empty()) return make_error(Code::kParse, fmt::format("gives '{}' twice in one object", twice), name);
  return json;
}

}  // namespace

base::Result<WorldPtr> parse_described(std::string_view text, const std::string& name, const WorldSpec& spec,
                                       std::size_t environments, const data::ReadLimits& limits) {
  if (text.size() > std::min<std::uint64_t>(kMostBytes, limits.inflated_bytes)) {
    return make_error(Code::kLimit, fmt::format("holds {} bytes, more than {}", text.size(), kMostBytes), name);
  }
  PL_TRY(const Json json, parse_strictly(text, name));
  const Node file{json, name, {}};
  if (!json.is_object()) return file.type("an object");
  auto tables = std::make_shared<Tables>();
  PL_TRY(tables->facts, read_facts(file, spec.id));
  PL_CHECK(file.has("board") ? read_board(file, *tables) : read_table(file, *tables));
  for (const std::vector<Branch>& row : tables->branches) {
    std::vector<double>& weights = tables->probabilities.emplace_back();
    for (const Branch& branch : row) weights.push_back(branch.probability);
  }
  for (std::uint32_t state = 0; state < tables->initial.size(); ++state) {
    if (tables->initial[state] <= 0) continue;
    tables->starts.push_back(state);
    tables->start_weights.push_back(tables->initial[state]);
  }
  PL_TRY(const std::string level, resolve_level(tables->facts, spec));
  PL_TRY(const std::vector<double> none, resolve_dials(tables->facts, spec));
  return WorldPtr(std::make_unique<FiniteWorld<TableRules>>(TableRules(std::move(tables)), level, environments));
}

base::Result<WorldPtr> open_described(const WorldSpec& spec, std::size_t environments) {
  const std::string path = spec.id.substr(std::string_view("file:").size());
  data::ReadLimits limits;
  limits.file_bytes = kMostBytes;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_described({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, spec, environments);
}

}  // namespace plumbline::world
