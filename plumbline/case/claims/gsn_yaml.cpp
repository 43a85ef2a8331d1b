#include <map>
#include <set>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/claims/escape.hpp"

namespace plumbline::claims {
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostElements = 5000;

void emit_list(YAML::Emitter& out, const char* key, const std::vector<std::string>& values) {
  if (values.empty()) return;
  out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const std::string& value : values) out << YAML::DoubleQuoted << printable(value);
  out << YAML::EndSeq;
}

void emit_text(YAML::Emitter& out, const char* key, std::string_view value) {
  if (!value.empty()) out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << printable(value);
}

base::Error wrong(const YAML::Node& node, std::string message) {
  return base::make_error(base::Code::kParse, std::move(message), fmt::format("line {}", node.Mark().line + 1));
}

std::optional<NodeKind> kind_of(const std::string& id, const YAML::Node& attributes) {
  static const std::map<std::string, NodeKind> kTypes = {{"Goal", NodeKind::kGoal},
                                                         {"Strategy", NodeKind::kStrategy},
                                                         {"Solution", NodeKind::kSolution},
                                                         {"Context", NodeKind::kContext},
                                                         {"Assumption", NodeKind::kAssumption},
                                                         {"Justification", NodeKind::kJustification},
                                                         {"CounterGoal", NodeKind::kDefeater},
                                                         {"CounterSolution", NodeKind::kSolution}};
  if (const YAML::Node type = attributes["nodeType"]; type && type.IsScalar()) {
    const auto found = kTypes.find(type.Scalar());
    return found == kTypes.end() ? std::nullopt : std::optional(found->second);
  }
  // Longer prefixes first: "CG" is not a context, "Sn" no strategy.
  static const std::pair<std::string_view, NodeKind> kPrefixes[] = {
      {"CSn", NodeKind::kSolution}, {"CG", NodeKind::kDefeater},    {"Sn", NodeKind::kSolution},
      {"G", NodeKind::kGoal},       {"S", NodeKind::kStrategy},     {"C", NodeKind::kContext},
      {"A", NodeKind::kAssumption}, {"J", NodeKind::kJustification}};
  for (const auto& [prefix, kind] : kPrefixes) {
    if (id.starts_with(prefix)) return kind;
  }
  return std::nullopt;
}

base::Result<std::vector<std::string>> list_of(const YAML::Node& attributes, const char* key) {
  std::vector<std::string> values;
  const YAML::Node node = attributes[key];
  if (!node || node.IsNull()) return values;
  if (node.IsScalar()) return std::vector<std::string>{node.Scalar()};
  if (!node.IsSequence()) return wrong(node, fmt::format("'{}' is neither a name nor a list of names", key));
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) return wrong(item, fmt::format("an entry of '{}' is not a name", key));
    values.push_back(item.Scalar());
  }
  return values;
}

std::string text_of(const YAML::Node& attributes, const char* key) {
  const YAML::Node node = attributes[key];
  return node && node.IsScalar() ? node.Scalar() : std::string();
}

base::Result<Node> node_from(const std::string& id, const YAML::Node& attributes) {
  if (!attributes.IsMap()) return wrong(attributes, fmt::format("element '{}' has no attributes", id));
  Node node;
  node.id = id;
  const auto kind = kind_of(id, attributes);
  if (!kind)
    return wrong(
        attributes,
        fmt::format("element '{}' has no known prefix (G, S, Sn, C, A, J, CG, CSn) and no known nodeType", id));
  node.kind = *kind;
  const YAML::Node text = attributes["text"];
  if (!text || !text.IsScalar()) return wrong(attributes, fmt::format("element '{}' lacks its text", id));
  node.text = text.Scalar();
  PL_TRY(node.supported_by, list_of(attributes, "supportedBy"));
  PL_TRY(node.in_context_of, list_of(attributes, "inContextOf"));
  PL_TRY(node.challenges, list_of(attributes, "challenges"));
  node.undeveloped = text_of(attributes, "undeveloped") == "true";
  node.defeated = text_of(attributes, "defeated") == "true";
  node.claim = text_of(attributes, "claim");
  node.evidence = text_of(attributes, "evidence");
  if (const std::string need = text_of(attributes, "need"); !need.empty()) {
    if (need.size() > 4 || need.find_first_not_of("0123456789") != std::string::npos)
      return wrong(attributes, fmt::format("need of '{}' is not a small number", id));
    node.need = std::stoi(need);
  }
  const std::string verdict = text_of(attributes, "verdict");
  for (int i = 0; i <= static_cast<int>(Standing::kRefuted); ++i) {
    if (standing_name(static_cast<Standing>(i)) == verdict) node.standing = static_cast<Standing>(i);
  }
  const std::string doubt = text_of(attributes, "doubt");
  for (const Doubt each : {Doubt::kAnswered, Doubt::kOpen, Doubt::kStands}) {
    if (doubt_name(each) == doubt) node.doubt = each;
  }
  return node;
}

base::Result<Argument> read(const YAML::Node& root) {
  if (!root.IsMap()) return base::make_error(base::Code::kParse, "the file is not a map of elements", "line 1");
  if (root.size() > kMostElements)
    return base::make_error(base::Code::kLimit, fmt::format("more than {} elements", kMostElements));
  Argument argument;
  std::set<std::string> seen;
  for (const auto& entry : root) {
    if (!entry.first.IsScalar()) return wrong(entry.first, "an element's name is not a word");
    const std::string id = entry.first.Scalar();
    if (!seen.insert(id).second) return wrong(entry.first, fmt::format("element '{}' is there twice", id));
    if (id == "module") {
      if (!entry.second.IsMap()) return wrong(entry.first, "module is not a map");
      argument.name = text_of(entry.second, "name");
      argument.brief = text_of(entry.second, "brief");
      continue;
    }
    PL_TRY(Node node, node_from(id, entry.second));
    argument.nodes.push_back(std::move(node));
  }
  for (const Node& node : argument.nodes) {
    for (const auto* links : {&node.supported_by, &node.in_context_of, &node.challenges}) {
      for (const std::string& target : *links) {
        if (!seen.contains(target) || target == "module")
          return wrong(root[node.id], fmt::format("element '{}' refers to '{}', which is not there", node.id, target));
      }
    }
  }
  return argument;
}

}  // namespace

std::string to_gsn_yaml(const Argument& argument) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "module" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted << printable(argument.name);
  out << YAML::Key << "brief" << YAML::Value << YAML::DoubleQuoted << printable(argument.brief);
  out << YAML::EndMap;
  for (const Node& node : argument.nodes) {
    out << YAML::Key << YAML::DoubleQuoted << printable(node.id) << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "text" << YAML::Value << YAML::DoubleQuoted << printable(node.text);
    emit_list(out, "supportedBy", node.supported_by);
    emit_list(out, "inContextOf", node.in_context_of);
    emit_list(out, "challenges", node.challenges);
    if (node.undeveloped && node.supported_by.empty()) out << YAML::Key << "undeveloped" << YAML::Value << true;
    if (node.defeated) out << YAML::Key << "defeated" << YAML::Value << true;
    if (node.need > 0) out << YAML::Key << "need" << YAML::Value << node.need;
    emit_text(out, "claim", node.claim);
    emit_text(out, "evidence", node.evidence);
    if (node.standing) emit_text(out, "verdict", standing_name(*node.standing));
    if (node.doubt != Doubt::kNone) emit_text(out, "doubt", doubt_name(node.doubt));
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

base::Result<Argument> from_gsn_yaml(std::string_view yaml) {
  if (yaml.size() > kMostBytes)
    return base::make_error(base::Code::kLimit, fmt::format("{} bytes, expected at most {}", yaml.size(), kMostBytes));
  try {
    return read(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& error) {
    return base::make_error(base::Code::kParse, printable(error.msg), fmt::format("line {}", error.mark.line + 1));
  } catch (const std::exception& error) {  // yaml-cpp lets some standard exceptions through on odd input
    return base::make_error(base::Code::kParse, printable(error.what()));
  }
}

}  // namespace plumbline::claims
