#include "plumbline/reach/section_reader.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/reach/evaluate.hpp"

namespace plumbline::reach::detail {

using base::Code;
using base::make_error;
using data::TomlKind;
using data::TomlNode;

namespace {

/// The decimal lies in it: a number that no double may equal is the nearest double, one step wider.
Interval enclosure(const TomlNode& node) {
  if (node.integer || node.number == std::floor(node.number)) return Interval(node.number);
  return {down(node.number), up(node.number)};
}

}  // namespace

std::string SectionReader::place(const TomlNode& node) const {
  return node.line > 0 ? fmt::format("{}:{}", path_, node.line) : path_;
}

base::Error SectionReader::problem(const TomlNode& node, const std::string& message, const std::string& hint) const {
  return make_error(Code::kValue, message, place(node), hint);
}

std::string SectionReader::unknown(std::string_view what, std::string_view name,
                                   const std::vector<std::string>& known) {
  const std::string close = base::nearest(name, known);
  return fmt::format("unknown {} '{}'{}", what, name,
                     close.empty() ? fmt::format(", expected one of {}", base::join_words(known, "or"))
                                   : fmt::format(", did you mean '{}'?", close));
}

base::Status SectionReader::known(const TomlNode& table, const std::string& section,
                                  const std::vector<std::string>& keys) const {
  for (const auto& [key, node] : table.members) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return problem(node, unknown(section.empty() ? "section" : fmt::format("key in [{}]", section), key, keys));
  }
  return base::ok();
}

base::Result<const TomlNode*> SectionReader::section(const TomlNode& root, std::string_view name) const {
  const TomlNode* const node = root.find(name);
  if (node != nullptr && node->kind != TomlKind::kTable)
    return problem(*node, fmt::format("'{}' is {}, expected a section [{}]", name, toml_kind_name(node->kind), name));
  return node;
}

base::Result<std::string> SectionReader::text(const TomlNode& node, std::string_view key) const {
  if (node.kind != TomlKind::kString)
    return problem(node, fmt::format("'{}' is {}, expected text", key, toml_kind_name(node.kind)));
  return node.text;
}

base::Result<std::string> SectionReader::formula(const TomlNode& node, std::string_view key) const {
  if (node.kind == TomlKind::kNumber) return fmt::format("({})", node.number);
  return text(node, key);
}

base::Result<std::vector<std::string>> SectionReader::texts(const TomlNode& node, std::string_view key) const {
  std::vector<std::string> out;
  if (node.kind == TomlKind::kString) return std::vector<std::string>{node.text};
  if (node.kind != TomlKind::kArray)
    return problem(node, fmt::format("'{}' is {}, expected text or a list of texts", key, toml_kind_name(node.kind)));
  for (const TomlNode& item : node.items) {
    PL_TRY(std::string one, formula(item, key));
    out.push_back(std::move(one));
  }
  return out;
}

base::Result<double> SectionReader::number(const TomlNode& node, std::string_view key) const {
  if (node.kind != TomlKind::kNumber || !std::isfinite(node.number)) {
    return problem(node, fmt::format("'{}' is {}, expected a finite number", key,
                                     node.kind == TomlKind::kNumber ? fmt::format("{}", node.number)
                                                                    : std::string(toml_kind_name(node.kind))));
  }
  return node.number;
}

base::Result<Interval> SectionReader::range(const TomlNode& node, const std::string& name) const {
  if (node.kind == TomlKind::kArray) {
    if (node.items.size() != 2)
      return problem(node, fmt::format("'{}' has {} ends, expected [low, high]", name, node.items.size()));
    PL_TRY(const double low, number(node.items[0], name));
    PL_TRY(const double high, number(node.items[1], name));
    if (low > high) return problem(node, fmt::format("the box of '{}' is empty: {} is above {}", name, low, high));
    return Interval(enclosure(node.items[0]).lo, enclosure(node.items[1]).hi);
  }
  PL_CHECK(number(node, name));
  return enclosure(node);
}

base::Status SectionReader::name_is_free(const TomlNode& node, const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto part = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 60 || !letter(name[0]) || !std::all_of(name.begin(), name.end(), part))
    return problem(node, fmt::format("'{}' is no name: letters, digits and _, not a digit first", name));
  static const std::vector<std::string> kReserved = {"pi", "and", "or", "not"};
  const auto& functions = function_names();
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end() ||
      std::find(functions.begin(), functions.end(), name) != functions.end())
    return problem(node, fmt::format("'{}' is a word of the formulas and cannot be a name", name));
  if (!used_.insert(name).second) return problem(node, fmt::format("'{}' is defined twice", name));
  return base::ok();
}

base::Status SectionReader::read_constants(const TomlNode& root, std::map<std::string, Scope::Formula>& lets) {
  PL_TRY(const TomlNode* node, section(root, "constants"));
  if (node == nullptr) return base::ok();
  for (const auto& [name, value] : node->members) {
    PL_CHECK(name_is_free(value, name));
    PL_TRY(std::string written, formula(value, name));
    Scope scope;
    scope.lets = lets;
    Compiler compiler(scope);
    const std::string where = fmt::format("{} (constants.{})", place(value), name);
    PL_CHECK(compiler.add(written, where));
    const Interval held = evaluate<Interval>(compiler.take(), {}).front();
    if (!held.finite()) return make_error(Code::kValue, "is not finite", where);
    lets[name] = {std::move(written), where};
  }
  return base::ok();
}

base::Status SectionReader::read_lets(const TomlNode& root, std::map<std::string, Scope::Formula>& lets) {
  PL_TRY(const TomlNode* node, section(root, "let"));
  if (node == nullptr) return base::ok();
  for (const auto& [name, value] : node->members) {
    PL_CHECK(name_is_free(value, name));
    PL_TRY(std::string written, formula(value, name));
    lets[name] = {std::move(written), fmt::format("{} (let.{})", place(value), name)};
  }
  return base::ok();
}

}  // namespace plumbline::reach::detail
