#pragma once
/// What the readers of this room's files share: places in messages, kinds of values, unknown keys. For its sources.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/toml_tree.hpp"
#include "plumbline/reach/expression.hpp"

namespace plumbline::reach::detail {

/// Reads values of one file; all errors name it with the line.
class SectionReader {
 public:
  explicit SectionReader(const std::string& path) : path_(path) {}

  std::string place(const data::TomlNode& node) const;
  base::Error problem(const data::TomlNode& node, const std::string& message, const std::string& hint = {}) const;
  /// "unknown WHAT 'NAME', did you mean ..."
  static std::string unknown(std::string_view what, std::string_view name, const std::vector<std::string>& known);
  /// Errors kValue: a key that is not in the list.
  base::Status known(const data::TomlNode& table, const std::string& section,
                     const std::vector<std::string>& keys) const;
  /// Null where there is none. Errors kValue: it is no table.
  base::Result<const data::TomlNode*> section(const data::TomlNode& root, std::string_view name) const;
  base::Result<std::string> text(const data::TomlNode& node, std::string_view key) const;
  /// A formula may be written as a bare number.
  base::Result<std::string> formula(const data::TomlNode& node, std::string_view key) const;
  /// One text or a list of formulas.
  base::Result<std::vector<std::string>> texts(const data::TomlNode& node, std::string_view key) const;
  /// Errors kValue: not a finite number.
  base::Result<double> number(const data::TomlNode& node, std::string_view key) const;
  /// A number or [low, high], as the nearest doubles with room for the decimals.
  base::Result<Interval> range(const data::TomlNode& node, const std::string& name) const;
  /// Errors kValue: not letters, digits and _; a word of the formulas; defined before.
  base::Status name_is_free(const data::TomlNode& node, const std::string& name);
  /// Section [constants], [let]: formulas by name. A constant may speak of earlier ones alone and must be finite.
  base::Status read_constants(const data::TomlNode& root, std::map<std::string, Scope::Formula>& lets);
  base::Status read_lets(const data::TomlNode& root, std::map<std::string, Scope::Formula>& lets);

 private:
  const std::string& path_;
  std::set<std::string> used_;
};

}  // namespace plumbline::reach::detail
