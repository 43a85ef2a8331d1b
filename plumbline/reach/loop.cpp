#include "plumbline/reach/loop.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/data/toml_tree.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/reach/evaluate.hpp"
#include "plumbline/reach/section_reader.hpp"

namespace plumbline::reach {

using base::Code;
using base::make_error;
using data::TomlKind;
using data::TomlNode;

namespace {

constexpr std::size_t kMaxVariables = 64;
constexpr int kMaxPeriods = 100'000;
constexpr std::size_t kMaxNetworks = 64;
constexpr std::size_t kMaxProperties = 64;

/// One step of the reader: everything that is named in messages.
class Reader : private detail::SectionReader {
 public:
  Reader(const std::string& path, const std::string& folder, const LoopOptions& options)
      : SectionReader(path), path_(path), folder_(folder), options_(options) {}

  base::Result<Loop> read(const TomlNode& root) {
    PL_CHECK(known(root, "",
                   {"loop", "constants", "states", "parameters", "let", "controller", "dynamics", "property", "plot"}));
    PL_CHECK(read_loop_section(root));
    PL_CHECK(read_constants(root, lets_));
    PL_CHECK(read_variables(root, "states"));
    loop_.states = loop_.variables.size();
    if (loop_.states == 0) return problem(root, "section [states] is missing: it names at least one state");
    PL_CHECK(read_variables(root, "parameters"));
    for (const auto& [name, range] : options_.initial) {
      if (!index_.contains(name)) return make_error(Code::kValue, unknown("variable", name, names_of(index_)), path_);
    }
    PL_CHECK(read_lets(root, lets_));
    PL_CHECK(read_controller(root));
    PL_CHECK(read_dynamics(root));
    PL_CHECK(read_properties(root));
    PL_CHECK(read_plot(root));
    return std::move(loop_);
  }

 private:
  template <class Map>
  static std::vector<std::string> names_of(const Map& map) {
    std::vector<std::string> out;
    for (const auto& entry : map) out.push_back(entry.first);
    return out;
  }

  // ---- sections --------------------------------------------------------------------------------------------------

  base::Status read_loop_section(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "loop"));
    if (node == nullptr) return problem(root, "section [loop] is missing: it says name, period and steps");
    PL_CHECK(known(*node, "loop", {"name", "kind", "period", "steps"}));
    if (const TomlNode* name = node->find("name")) {
      PL_TRY(loop_.name, text(*name, "name"));
    }
    if (const TomlNode* kind = node->find("kind")) {
      PL_TRY(const std::string word, text(*kind, "kind"));
      if (word != "continuous" && word != "discrete")
        return problem(*kind, unknown("kind", word, {"continuous", "discrete"}));
      loop_.discrete = word == "discrete";
    }
    const TomlNode* const period = node->find("period");
    if (period == nullptr) return problem(*node, "'period' is missing: the time between two questions to the network");
    PL_TRY(loop_.period, number(*period, "period"));
    if (!(loop_.period > 0)) return problem(*period, fmt::format("period {} is not above 0", loop_.period));
    const TomlNode* const steps = node->find("steps");
    if (steps == nullptr) return problem(*node, "'steps' is missing: how many periods to look ahead");
    PL_TRY(const double count, number(*steps, "steps"));
    if (!steps->integer || count < 1 || count > kMaxPeriods)
      return problem(*steps, fmt::format("steps {} is not a whole number from 1 to {}", count, kMaxPeriods));
    loop_.periods = static_cast<int>(count);
    return base::ok();
  }

  base::Status read_variables(const TomlNode& root, const std::string& kind) {
    PL_TRY(const TomlNode* node, section(root, kind));
    if (node == nullptr) return base::ok();
    for (const auto& [name, value] : node->members) {
      PL_CHECK(name_is_free(value, name));
      Variable variable{name, "", {}};
      const TomlNode* start = &value;
      if (value.kind == TomlKind::kTable) {
        PL_CHECK(known(value, fmt::format("{}.{}", kind, name), {"initial", "unit"}));
        start = value.find("initial");
        if (start == nullptr)
          return problem(value, fmt::format("'{}' has no 'initial': a number or [low, high]", name));
        if (const TomlNode* unit = value.find("unit")) {
          PL_TRY(variable.unit, text(*unit, "unit"));
          PL_CHECK(check_unit(*unit, variable.unit));
        }
      }
      PL_TRY(variable.initial, range(*start, name));
      if (const auto other = options_.initial.find(name); other != options_.initial.end()) {
        if (!other->second.finite()) return problem(*start, fmt::format("the box given for '{}' is not finite", name));
        variable.initial = other->second;
      }
      index_[name] = loop_.variables.size();
      loop_.variables.push_back(std::move(variable));
      if (loop_.variables.size() > kMaxVariables)
        return make_error(Code::kLimit, fmt::format("has more than {} states and parameters", kMaxVariables),
                          place(value));
    }
    return base::ok();
  }

  /// Names joined by * and /, each with an optional ^whole number.
  base::Status check_unit(const TomlNode& node, const std::string& unit) const {
    if (unit.size() > 60) return problem(node, "the unit is longer than 60 characters");
    std::size_t at = 0;
    while (at <= unit.size()) {
      const std::size_t end = std::min(unit.find_first_of("*/", at), unit.size());
      std::string word = unit.substr(at, end - at);
      const std::size_t hat = word.find('^');
      const bool power_fine = hat == std::string::npos || (hat + 1 < word.size() && word.size() - hat <= 3 &&
                                                           word.find_first_not_of("-0123456789", hat + 1) == word.npos);
      word = word.substr(0, hat);
      const auto& names = unit_names();
      if (!power_fine || std::find(names.begin(), names.end(), word) == names.end())
        return problem(node,
                       fmt::format("unknown unit '{}' in '{}', known are {}", word, unit, base::join_words(names)));
      at = end + 1;
    }
    return base::ok();
  }

  /// What a formula of one kind may speak of.
  Scope scope_of(bool with_controls) const {
    Scope scope;
    scope.variables = index_;
    scope.lets = lets_;
    for (std::size_t i = 0; i < loop_.controls.size(); ++i) {
      if (with_controls) {
        scope.variables[loop_.controls[i]] = loop_.variables.size() + i;
      } else {
        scope.absent[loop_.controls[i]] = "it is a control, decided after this formula";
      }
    }
    return scope;
  }

  base::Result<std::shared_ptr<const robustness::Network>> open_network(const TomlNode& node,
                                                                        const std::string& written) {
    namespace fs = std::filesystem;
    std::string folder = folder_;
    std::string inner = written;
    if (const std::size_t colon = written.find(':'); colon != std::string::npos) {
      const std::string root = written.substr(0, colon);
      inner = written.substr(colon + 1);
      const auto found = options_.roots.find(root);
      const char* const data = root == "data" ? std::getenv("PLUMBLINE_DATA") : nullptr;
      if (found == options_.roots.end() && data == nullptr)
        return problem(
            node, fmt::format("the root '{}' of '{}' is not known", root, written),
            fmt::format("Name its folder with --root {}=DIR{}", root, root == "data" ? ", or set PLUMBLINE_DATA" : ""));
      folder = found != options_.roots.end() ? found->second : std::string(data);
    }
    const fs::path given(inner);
    if (given.is_absolute() || std::find(given.begin(), given.end(), "..") != given.end())
      return problem(node, fmt::format("the network '{}' leaves the folder of the file", written),
                     "Put it beside the file, or name a root: \"data:path\"");
    const std::string full = (fs::path(folder) / given).string();
    loop_.files.push_back(full);
    if (folder_.empty()) return std::shared_ptr<const robustness::Network>();
    auto graph = graph::read_onnx(full);
    if (!graph.ok()) return graph.error().at(place(node));
    auto network = robustness::lower(*graph);
    if (!network.ok()) return network.error().at(full).at(place(node));
    return std::shared_ptr<const robustness::Network>(
        std::make_shared<robustness::Network>(std::move(network).value()));
  }

  base::Status read_networks(const TomlNode& node) {
    const TomlNode* const one = node.find("network");
    const TomlNode* const many = node.find("networks");
    if ((one == nullptr) == (many == nullptr))
      return problem(node, "expected either 'network' or 'networks' in [controller]");
    const TomlNode& list = one != nullptr ? *one : *many;
    PL_TRY(const std::vector<std::string> paths, texts(list, one != nullptr ? "network" : "networks"));
    if (paths.empty() || paths.size() > kMaxNetworks)
      return problem(list, fmt::format("names {} networks, expected 1 to {}", paths.size(), kMaxNetworks));
    for (const std::string& path : paths) {
      PL_TRY(auto network, open_network(list, path));
      loop_.networks.push_back(std::move(network));
    }
    for (const auto& network : loop_.networks) {
      if (network != nullptr &&
          (network->inputs() != loop_.networks[0]->inputs() || network->outputs() != loop_.networks[0]->outputs()))
        return problem(list, "the networks differ in their numbers of inputs or outputs");
    }
    return base::ok();
  }

  base::Status read_controller(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "controller"));
    if (node == nullptr) return base::ok();
    PL_CHECK(known(*node, "controller", {"network", "networks", "select", "inputs", "output", "controls", "index"}));
    PL_CHECK(read_networks(*node));
    const TomlNode* const inputs = node->find("inputs");
    if (inputs == nullptr) return problem(*node, "'inputs' is missing: one formula for each input of the network");
    PL_TRY(const std::vector<std::string> formulas, texts(*inputs, "inputs"));
    const Scope scope = scope_of(false);
    Compiler compiler(scope);
    for (std::size_t i = 0; i < formulas.size(); ++i)
      PL_CHECK(compiler.add(formulas[i], fmt::format("{} (controller.inputs, item {})", place(*inputs), i + 1)));
    loop_.inputs = compiler.take();
    const robustness::Network* const network = loop_.networks[0].get();
    if (network != nullptr && network->inputs() != formulas.size())
      return problem(
          *inputs, fmt::format("has {} formulas, and the network takes {} inputs", formulas.size(), network->inputs()));
    if (const TomlNode* select = node->find("select")) {
      PL_TRY(const std::string written, formula(*select, "select"));
      Compiler selecting(scope);
      PL_CHECK(selecting.add(written, fmt::format("{} (controller.select)", place(*select))));
      loop_.select = selecting.take();
    } else if (loop_.networks.size() > 1) {
      return problem(*node, "'select' is missing: a formula for the index of the network, from 1");
    }
    return read_controls(*node, network);
  }

  base::Status read_controls(const TomlNode& node, const robustness::Network* network) {
    if (const TomlNode* output = node.find("output")) {
      PL_TRY(const std::string word, text(*output, "output"));
      if (word == "argmax") {
        loop_.reading = Reading::kArgmax;
      } else if (word == "argmin") {
        loop_.reading = Reading::kArgmin;
      } else if (word != "numbers") {
        return problem(*output, unknown("output", word, {"numbers", "argmax", "argmin"}));
      }
    }
    if (loop_.reading != Reading::kNumbers) {
      if (!loop_.discrete) return problem(node, "a choice by argmax or argmin needs kind = \"discrete\"");
      const TomlNode* const index = node.find("index");
      if (index == nullptr) return problem(node, "'index' is missing: the name of what the network chooses, from 1");
      PL_TRY(const std::string name, text(*index, "index"));
      PL_CHECK(name_is_free(*index, name));
      loop_.controls = {name};
      return base::ok();
    }
    PL_TRY(const TomlNode* controls, section(node, "controls"));
    if (controls == nullptr || controls->members.empty())
      return problem(node, "section [controller.controls] is missing: formulas over the outputs N1, N2, ...");
    Scope scope;
    const std::size_t outputs = network != nullptr ? network->outputs() : 64;
    for (std::size_t i = 0; i < outputs; ++i) scope.variables[fmt::format("N{}", i + 1)] = i;
    for (const auto& [name, formula] : lets_) {
      if (formula.place.find("(constants.") != std::string::npos) scope.lets[name] = formula;
    }
    Compiler compiler(scope);
    for (const auto& [name, value] : controls->members) {
      PL_CHECK(name_is_free(value, name));
      PL_TRY(const std::string written, formula(value, name));
      PL_CHECK(compiler.add(written, fmt::format("{} (controller.controls.{})", place(value), name)));
      loop_.controls.push_back(name);
    }
    loop_.outputs = compiler.take();
    return base::ok();
  }

  base::Status read_dynamics(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "dynamics"));
    if (node == nullptr) return problem(root, "section [dynamics] is missing: one formula for each state");
    const Scope scope = scope_of(true);
    Compiler compiler(scope);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < loop_.states; ++i) names.push_back(loop_.variables[i].name);
    PL_CHECK(known(*node, "dynamics", names));
    for (const std::string& name : names) {
      const TomlNode* const value = node->find(name);
      if (value == nullptr) return problem(*node, fmt::format("[dynamics] has no formula for the state '{}'", name));
      PL_TRY(const std::string written, formula(*value, name));
      PL_CHECK(compiler.add(written, fmt::format("{} (dynamics.{})", place(*value), name)));
    }
    loop_.dynamics = compiler.take();
    if (!loop_.discrete && !loop_.dynamics.smooth()) {
      return make_error(
          Code::kUnsupported,
          "uses abs, min, max, if, pick or a comparison, which have no derivative; a differential equation needs one",
          place(*node), "Write kind = \"discrete\" if these are next values");
    }
    return base::ok();
  }

  base::Result<int> period_end(const TomlNode& table, std::string_view key, int standard) const {
    const TomlNode* const node = table.find(key);
    if (node == nullptr) return standard;
    PL_TRY(const double time, number(*node, key));
    const double count = time / loop_.period;
    const double whole = std::round(count);
    if (std::abs(count - whole) > 1e-9 * std::max(1.0, std::abs(count)) || whole < 0 || whole > loop_.periods)
      return problem(*node, fmt::format("'{}' = {} is no multiple of the period {} within the {} steps", key, time,
                                        loop_.period, loop_.periods));
    return static_cast<int>(whole);
  }

  base::Status read_property(const TomlNode& node) {
    if (node.kind != TomlKind::kTable) return problem(node, "write [[property]], one block each");
    PL_CHECK(known(node, "property", {"always", "never", "finally", "eventually", "from", "to"}));
    LoopProperty property;
    const TomlNode* list = nullptr;
    for (const Quantifier q :
         {Quantifier::kAlways, Quantifier::kNever, Quantifier::kFinally, Quantifier::kEventually}) {
      const TomlNode* const found = node.find(quantifier_name(q));
      if (found == nullptr) continue;
      if (list != nullptr)
        return problem(*found, "expected one of always, never, finally and eventually in a property");
      list = found;
      property.quantifier = q;
    }
    if (list == nullptr) return problem(node, "expected always, never, finally or eventually in a property");
    PL_TRY(const std::vector<std::string> conditions, texts(*list, quantifier_name(property.quantifier)));
    if (conditions.empty()) return problem(*list, "names no condition");
    const Scope scope = scope_of(false);
    Compiler compiler(scope);
    for (const std::string& condition : conditions) {
      PL_CHECK(compiler.add_condition(
          condition, fmt::format("{} ({})", place(*list), quantifier_name(property.quantifier)), property.conditions));
      property.text += fmt::format("{}{}", property.text.empty() ? "" : " and ", condition);
    }
    property.text = fmt::format("{} {}", quantifier_name(property.quantifier), property.text);
    property.conditions.program = compiler.take();
    PL_TRY(property.from, period_end(node, "from", 0));
    PL_TRY(property.to, period_end(node, "to", loop_.periods));
    if (property.from > property.to) return problem(node, "the window is empty: 'from' lies after 'to'");
    if (property.quantifier == Quantifier::kFinally && (node.find("from") != nullptr || node.find("to") != nullptr))
      return problem(node, "'finally' speaks of the end: it takes no 'from' and no 'to'");
    loop_.properties.push_back(std::move(property));
    return base::ok();
  }

  base::Status read_properties(const TomlNode& root) {
    const TomlNode* const node = root.find("property");
    if (node == nullptr) return base::ok();
    if (node->kind != TomlKind::kArray) return problem(*node, "write [[property]], one block each");
    if (node->items.size() > kMaxProperties)
      return make_error(Code::kLimit, fmt::format("has more than {} properties", kMaxProperties), place(*node));
    for (const TomlNode& item : node->items) PL_CHECK(read_property(item));
    return base::ok();
  }

  base::Status read_plot(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "plot"));
    if (node == nullptr) return base::ok();
    PL_CHECK(known(*node, "plot", {"x", "y"}));
    for (const auto& [key, value] : node->members) {
      PL_TRY(const std::string name, text(value, key));
      if (!index_.contains(name)) return problem(value, unknown("variable", name, names_of(index_)));
      (key == "x" ? loop_.plot_x : loop_.plot_y) = name;
    }
    return base::ok();
  }

  const std::string& path_;
  const std::string& folder_;
  const LoopOptions& options_;
  Loop loop_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, Scope::Formula> lets_;
};

}  // namespace

std::string_view quantifier_name(Quantifier quantifier) {
  switch (quantifier) {
    case Quantifier::kAlways: return "always";
    case Quantifier::kNever: return "never";
    case Quantifier::kFinally: return "finally";
    case Quantifier::kEventually: return "eventually";
  }
  return "";
}

const std::vector<std::string>& unit_names() {
  static const std::vector<std::string> names = {"1",  "m",   "km",  "cm", "mm", "ft", "in",  "mi",  "nmi", "s",
                                                 "ms", "min", "h",   "kg", "g",  "lb", "rad", "deg", "N",   "kN",
                                                 "Nm", "J",   "W",   "Pa", "Hz", "kt", "A",   "V",   "K",   "mol",
                                                 "cd", "C",   "Ohm", "F",  "T",  "l",  "bar"};
  return names;
}

base::Result<Loop> parse_loop(std::string_view text, const std::string& path, const std::string& folder,
                              const LoopOptions& options) {
  PL_TRY(const TomlNode root, data::parse_toml(text, path));
  return Reader(path, folder, options).read(root);
}

base::Result<Loop> read_loop(const std::string& path, const LoopOptions& options) {
  PL_TRY(const TomlNode root, data::read_toml(path));
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  return Reader(path, folder, options).read(root);
}

}  // namespace plumbline::reach
