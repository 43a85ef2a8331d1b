#include "plumbline/reach/avoid_game.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/data/bytes.hpp"
#include "plumbline/reach/evaluate.hpp"
#include "plumbline/reach/section_reader.hpp"

namespace plumbline::reach {

using base::Code;
using base::make_error;
using data::TomlKind;
using data::TomlNode;

namespace {

/// How a node depends on one input: 0 not at all, 1 affinely, 2 otherwise.
std::vector<int> degrees(const Program& program, const std::vector<bool>& input) {
  std::vector<int> out(program.nodes.size(), 0);
  for (std::size_t i = 0; i < program.nodes.size(); ++i) {
    const Node& node = program.nodes[i];
    int least = 0;
    int sum = 0;
    for (const std::size_t from : node.from) {
      least = std::max(least, out[from]);
      sum += out[from];
    }
    switch (node.op) {
      case Op::kConstant: out[i] = 0; break;
      case Op::kVariable: out[i] = input[node.variable] ? 1 : 0; break;
      case Op::kAdd:
      case Op::kSub:
      case Op::kNeg: out[i] = least; break;
      case Op::kMul: out[i] = std::min(sum, 2); break;
      case Op::kDiv: out[i] = out[node.from[1]] > 0 ? 2 : out[node.from[0]]; break;
      default: out[i] = least > 0 ? 2 : 0; break;
    }
  }
  return out;
}

class Reader : private detail::SectionReader {
 public:
  explicit Reader(const std::string& path) : SectionReader(path) {}

  base::Result<AvoidGame> read(const TomlNode& root) {
    PL_CHECK(known(root, "", {"game", "constants", "grid", "control", "disturbance", "let", "dynamics", "avoid"}));
    PL_TRY(const TomlNode* game, section(root, "game"));
    if (game == nullptr) return problem(root, "section [game] is missing: it says name and horizon");
    PL_CHECK(known(*game, "game", {"name", "horizon"}));
    if (const TomlNode* name = game->find("name")) {
      PL_TRY(game_.name, text(*name, "name"));
    }
    const TomlNode* const horizon = game->find("horizon");
    if (horizon == nullptr) return problem(*game, "'horizon' is missing: how far to look back, in time");
    PL_TRY(game_.horizon, number(*horizon, "horizon"));
    if (!(game_.horizon > 0)) return problem(*horizon, fmt::format("horizon {} is not above 0", game_.horizon));
    PL_CHECK(read_constants(root, lets_));
    PL_CHECK(read_grid(root));
    PL_CHECK(read_inputs(root, "control", game_.controls));
    PL_CHECK(read_inputs(root, "disturbance", game_.disturbances));
    PL_CHECK(read_lets(root, lets_));
    PL_CHECK(read_dynamics(root));
    PL_CHECK(read_avoid(root));
    return std::move(game_);
  }

 private:
  base::Status read_grid(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "grid"));
    if (node == nullptr || node->members.empty())
      return problem(root, "section [grid] is missing: for each state { low, high, points }");
    for (const auto& [name, value] : node->members) {
      PL_CHECK(name_is_free(value, name));
      if (value.kind != TomlKind::kTable)
        return problem(value,
                       fmt::format("'{}' is {}, expected {{ low, high, points }}", name, toml_kind_name(value.kind)));
      PL_CHECK(known(value, fmt::format("grid.{}", name), {"low", "high", "points", "periodic"}));
      GridAxis axis;
      axis.name = name;
      for (const char* key : {"low", "high", "points"}) {
        if (value.find(key) == nullptr) return problem(value, fmt::format("'{}' has no '{}'", name, key));
      }
      PL_TRY(axis.low, bound(*value.find("low"), "low"));
      PL_TRY(axis.high, bound(*value.find("high"), "high"));
      PL_TRY(const double points, number(*value.find("points"), "points"));
      if (!value.find("points")->integer || points < 8 || points > 10'000)
        return problem(value, fmt::format("points {} of '{}' is not a whole number from 8 to 10000", points, name));
      axis.points = static_cast<std::size_t>(points);
      if (!(axis.low < axis.high)) return problem(value, fmt::format("the range of '{}' is empty", name));
      if (const TomlNode* periodic = value.find("periodic")) {
        if (periodic->kind != TomlKind::kBoolean) return problem(*periodic, "'periodic' is true or false");
        axis.periodic = periodic->boolean;
      }
      scope_.variables[name] = game_.axes.size();
      game_.axes.push_back(std::move(axis));
    }
    if (game_.axes.size() > kMaxGridAxes)
      return make_error(Code::kLimit, fmt::format("has {} axes, at most {} are held", game_.axes.size(), kMaxGridAxes),
                        place(*node));
    if (game_.nodes() > kMaxGridNodes)
      return make_error(Code::kLimit, fmt::format("has {} nodes, at most {} are held", game_.nodes(), kMaxGridNodes),
                        place(*node));
    return base::ok();
  }

  /// An end of an axis: a number, or a formula of constants ("2*pi").
  base::Result<double> bound(const TomlNode& node, const std::string& key) {
    if (node.kind == TomlKind::kNumber) return number(node, key);
    PL_TRY(const std::string written, formula(node, key));
    Scope constants;
    constants.lets = lets_;
    Compiler compiler(constants);
    PL_CHECK(compiler.add(written, place(node)));
    const double value = detail::evaluate<double>(compiler.take(), {}).front();
    if (!std::isfinite(value)) return problem(node, fmt::format("'{}' is not finite", key));
    return value;
  }

  base::Status read_inputs(const TomlNode& root, const std::string& kind, std::vector<GameInput>& out) {
    PL_TRY(const TomlNode* node, section(root, kind));
    if (node == nullptr) return base::ok();
    for (const auto& [name, value] : node->members) {
      PL_CHECK(name_is_free(value, name));
      if (value.kind != TomlKind::kArray || value.items.size() != 2)
        return problem(value, fmt::format("'{}' is {}, expected [low, high]", name, toml_kind_name(value.kind)));
      GameInput input{name, 0, 0};
      PL_TRY(input.low, number(value.items[0], name));
      PL_TRY(input.high, number(value.items[1], name));
      if (input.low > input.high) return problem(value, fmt::format("the range of '{}' is empty", name));
      out.push_back(std::move(input));
    }
    if (out.size() > 4)
      return make_error(Code::kLimit, fmt::format("[{}] has more than 4 entries", kind), place(*node));
    return base::ok();
  }

  base::Status read_dynamics(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "dynamics"));
    if (node == nullptr) return problem(root, "section [dynamics] is missing: one formula for each state");
    std::vector<std::string> names;
    for (const GridAxis& axis : game_.axes) names.push_back(axis.name);
    PL_CHECK(known(*node, "dynamics", names));
    Scope scope = scope_;
    scope.lets = lets_;
    std::size_t next = game_.axes.size();
    for (const GameInput& input : game_.controls) scope.variables[input.name] = next++;
    for (const GameInput& input : game_.disturbances) scope.variables[input.name] = next++;
    Compiler compiler(scope);
    for (const std::string& name : names) {
      const TomlNode* const value = node->find(name);
      if (value == nullptr) return problem(*node, fmt::format("[dynamics] has no formula for the state '{}'", name));
      PL_TRY(const std::string written, formula(*value, name));
      PL_CHECK(compiler.add(written, fmt::format("{} (dynamics.{})", place(*value), name)));
    }
    game_.dynamics = compiler.take();
    std::vector<bool> input(next, false);
    for (std::size_t i = game_.axes.size(); i < next; ++i) input[i] = true;
    const std::vector<int> degree = degrees(game_.dynamics, input);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (degree[game_.dynamics.outputs[i]] > 1)
        return make_error(
            Code::kUnsupported,
            fmt::format("the dynamics of '{}' are not affine in the control and the disturbance", names[i]),
            place(*node), "Only then are the best inputs known at every gradient");
    }
    return base::ok();
  }

  base::Status read_avoid(const TomlNode& root) {
    PL_TRY(const TomlNode* node, section(root, "avoid"));
    if (node == nullptr)
      return problem(root, "section [avoid] is missing: a distance that is 0 or less in the unsafe set");
    PL_CHECK(known(*node, "avoid", {"distance"}));
    const TomlNode* const distance = node->find("distance");
    if (distance == nullptr)
      return problem(*node, "'distance' is missing: a formula that is 0 or less in the unsafe set");
    PL_TRY(const std::string written, formula(*distance, "distance"));
    Scope scope = scope_;
    scope.lets = lets_;
    Compiler compiler(scope);
    PL_CHECK(compiler.add(written, fmt::format("{} (avoid.distance)", place(*distance))));
    game_.distance = compiler.take();
    return base::ok();
  }

  AvoidGame game_;
  Scope scope_;
  std::map<std::string, Scope::Formula> lets_;
};

}  // namespace

std::size_t AvoidGame::nodes() const {
  std::size_t out = 1;
  for (const GridAxis& axis : axes) out *= axis.points;
  return out;
}

base::Result<AvoidGame> parse_game(std::string_view text, const std::string& path) {
  PL_TRY(const TomlNode root, data::parse_toml(text, path));
  PL_TRY(AvoidGame game, Reader(path).read(root));
  game.text = text;
  return game;
}

base::Result<AvoidGame> read_game(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = 1U << 20U;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_game({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

base::Result<bool> is_game(const std::string& path) {
  PL_TRY(const TomlNode root, data::read_toml(path));
  return root.find("grid") != nullptr;
}

std::vector<double> slope_of(const AvoidGame& game, const std::vector<double>& state,
                             const std::vector<double>& control, const std::vector<double>& disturbance) {
  std::vector<double> all = state;
  all.insert(all.end(), control.begin(), control.end());
  all.insert(all.end(), disturbance.begin(), disturbance.end());
  return detail::evaluate<double>(game.dynamics, all);
}

}  // namespace plumbline::reach
