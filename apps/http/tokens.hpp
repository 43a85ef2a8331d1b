#pragma once
/// Who may do what: bearer tokens from a file, compared in constant time.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::http {

enum class Scope : std::uint8_t { kDecide, kAnswer, kRead, kAdmin };
/// "decide", "answer", "read", "admin".
std::string_view scope_name(Scope scope);

/// Somebody who was recognised.
struct Caller {
  std::string name;
  std::array<bool, 4> scopes{};
  bool anonymous = false;  ///< no token file is in use
  bool may(Scope scope) const { return scopes[static_cast<std::size_t>(scope)] || scopes[3]; }
};

/// One line a token: NAME SCOPES EXPIRES TOKEN, separated by blanks; SCOPES as "decide,read"; EXPIRES an ISO 8601 time
/// or "never"; TOKEN 16 to 200 visible characters. Lines that begin with # are passed over.
class Tokens {
 public:
  /// Everybody may do everything: for a guard that listens on loopback only.
  static Tokens open_to_all();
  /// Errors kIo; kValue: a file that others than its owner may read; kParse: with the line.
  static base::Result<Tokens> read(const std::string& path);
  static base::Result<Tokens> parse(std::string_view text, const std::string& path);

  bool everybody() const { return everybody_; }
  /// The caller of an Authorization header at a time in seconds since 1970. Takes the same time whichever token is
  /// presented. Errors kValue with "unauthorized" or "token_expired" in `where`.
  base::Result<Caller> recognise(std::string_view authorization, double now) const;

 private:
  struct Entry {
    Caller caller;
    std::string digest;  ///< SHA-256, so that comparing says nothing about the token
    std::optional<double> expires;
  };
  std::vector<Entry> entries_;
  bool everybody_ = false;
};

}  // namespace plumbline::http
