#include "plumbline/data/toml_tree.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/data/bytes.hpp"
#include "plumbline/data/toml.hpp"

namespace plumbline::data {
namespace {

constexpr std::size_t kMaxNodes = 20'000;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20U;

/// Tables of toml++ are sorted by name; ours keep the order of the file.
void sort_by_place(std::vector<TomlMember>& members, std::vector<std::uint64_t> places) {
  std::vector<std::size_t> order(members.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return places[a] < places[b]; });
  std::vector<TomlMember> sorted;
  sorted.reserve(members.size());
  for (const std::size_t i : order) sorted.push_back(std::move(members[i]));
  members = std::move(sorted);
}

/// False when there are too many nodes.
bool convert(const toml::node& in, TomlNode& out, std::size_t& nodes) {
  if (++nodes > kMaxNodes) return false;
  out.line = static_cast<int>(in.source().begin.line);
  if (const toml::table* table = in.as_table()) {
    out.kind = TomlKind::kTable;
    std::vector<std::uint64_t> places;
    for (const auto& [key, value] : *table) {
      const auto& at = key.source().begin;
      places.push_back((static_cast<std::uint64_t>(at.line) << 32U) + at.column);
      out.members.push_back({std::string(key.str()), TomlNode{}});
      if (!convert(value, out.members.back().value, nodes)) return false;
      if (out.members.back().value.line == 0) out.members.back().value.line = static_cast<int>(at.line);
    }
    sort_by_place(out.members, std::move(places));
  } else if (const toml::array* list = in.as_array()) {
    out.kind = TomlKind::kArray;
    for (const toml::node& item : *list) {
      out.items.emplace_back();
      if (!convert(item, out.items.back(), nodes)) return false;
    }
  } else if (const auto* text = in.as_string()) {
    out.kind = TomlKind::kString;
    out.text = text->get();
  } else if (const auto* whole = in.as_integer()) {
    out.kind = TomlKind::kNumber;
    out.number = static_cast<double>(whole->get());
    out.integer = std::abs(out.number) <= 9007199254740992.0;
  } else if (const auto* number = in.as_floating_point()) {
    out.kind = TomlKind::kNumber;
    out.number = number->get();
  } else if (const auto* truth = in.as_boolean()) {
    out.kind = TomlKind::kBoolean;
    out.boolean = truth->get();
  } else {
    out.kind = TomlKind::kOther;
  }
  return true;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view key) const {
  for (const auto& [name, node] : members) {
    if (name == key) return &node;
  }
  return nullptr;
}

std::string_view toml_kind_name(TomlKind kind) {
  switch (kind) {
    case TomlKind::kTable: return "a table";
    case TomlKind::kArray: return "a list";
    case TomlKind::kString: return "text";
    case TomlKind::kNumber: return "a number";
    case TomlKind::kBoolean: return "true or false";
    case TomlKind::kOther: return "a date or time";
  }
  return "";
}

base::Result<TomlNode> parse_toml(std::string_view text, const std::string& path) {
  return guarded(path, [&]() -> base::Result<TomlNode> {
    const toml::parse_result parsed = toml::parse(text, path);
    if (parsed.failed()) {
      const auto& error = parsed.error();
      return base::make_error(base::Code::kParse, std::string(error.description()),
                              fmt::format("{}:{}:{}", path, error.source().begin.line, error.source().begin.column),
                              "The file is TOML: see https://toml.io");
    }
    TomlNode root;
    std::size_t nodes = 0;
    if (!convert(parsed.table(), root, nodes))
      return base::make_error(base::Code::kLimit, fmt::format("holds more than {} values", kMaxNodes), path);
    return root;
  });
}

base::Result<TomlNode> read_toml(const std::string& path) {
  ReadLimits limits;
  limits.file_bytes = kMaxBytes;
  PL_TRY(const Bytes bytes, map_file(path, limits));
  return parse_toml({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

}  // namespace plumbline::data
