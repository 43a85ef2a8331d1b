#pragma once
/// The target of an HTTP request: path segments and query, decoded.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::base {

struct Target {
  std::vector<std::string> path;             ///< "/a/b%2Fc" gives "a" and "b/c"; "/" gives none
  std::map<std::string, std::string> query;  ///< a + is a space; a name without = has an empty value
};

/// Errors kParse: more than 8,192 bytes or 64 names, no leading slash, a % that two hex digits do not follow, a name
/// that comes twice, a control character, bytes that are not UTF-8 once they are decoded.
Result<Target> parse_target(std::string_view target);

/// Letters, digits, "-._~" and the characters of `kept` as they are, every other byte as %XX (RFC 3986).
std::string percent_encode(std::string_view text, std::string_view kept = "");

}  // namespace plumbline::base
