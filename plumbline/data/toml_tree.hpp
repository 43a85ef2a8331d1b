#pragma once
/// A TOML file as plain nodes with their lines, for the rooms that read formats of their own. The manifest has its own
/// reader (manifest.hpp).

#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::data {

enum class TomlKind { kTable, kArray, kString, kNumber, kBoolean, kOther };

struct TomlMember;

struct TomlNode {
  TomlKind kind = TomlKind::kTable;
  int line = 0;
  std::string text;      ///< of kString
  double number = 0;     ///< of kNumber
  bool integer = false;  ///< the number was written as an integer, and the double equals it
  bool boolean = false;
  std::vector<TomlMember> members;  ///< of kTable, in the order of the file
  std::vector<TomlNode> items;      ///< of kArray

  /// The member of a table; null where there is none.
  const TomlNode* find(std::string_view key) const;
};

struct TomlMember {
  std::string key;
  TomlNode value;
};

/// The word for messages: "a table", "a number".
std::string_view toml_kind_name(TomlKind kind);

/// Errors kParse: not TOML, with path, line and column. kLimit: more than 20,000 nodes.
base::Result<TomlNode> parse_toml(std::string_view text, const std::string& path);
/// Errors as parse_toml; kIo; kLimit: above 1 MiB.
base::Result<TomlNode> read_toml(const std::string& path);

}  // namespace plumbline::data
