#include "apps/http/tokens.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::http {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<std::string_view, 4> kScopes = {"decide", "answer", "read", "admin"};

base::Result<std::array<bool, 4>> parse_scopes(const std::string& text, const std::string& place) {
  std::array<bool, 4> scopes{};
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const auto found = std::find(kScopes.begin(), kScopes.end(), word);
    if (found == kScopes.end())
      return make_error(Code::kParse, fmt::format("'{}' is no scope", word.substr(0, 40)), place,
                        "Scopes are decide, answer, read and admin, with commas between them");
    scopes[static_cast<std::size_t>(found - kScopes.begin())] = true;
  }
  return scopes;
}

}  // namespace

std::string_view scope_name(Scope scope) { return kScopes[static_cast<std::size_t>(scope)]; }

Tokens Tokens::open_to_all() {
  Tokens tokens;
  tokens.everybody_ = true;
  return tokens;
}

base::Result<Tokens> Tokens::read(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0)
    return make_error(Code::kIo, "cannot be read", path, "A file with one line a token: NAME SCOPES EXPIRES TOKEN");
  if ((facts.st_mode & 077U) != 0)
    return make_error(Code::kValue, "may be read by others than its owner", path, fmt::format("chmod 600 {}", path));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return make_error(Code::kIo, "cannot be read", path);
  return parse(text.str(), path);
}

base::Result<Tokens> Tokens::parse(std::string_view text, const std::string& path) {
  Tokens tokens;
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string place = fmt::format("{}:{}", path, ++number);
    std::istringstream words(line);
    std::string name, scopes, expires, token, more;
    if (!(words >> name) || name.front() == '#') continue;
    if (!(words >> scopes >> expires >> token) || words >> more)
      return make_error(Code::kParse, "is not NAME SCOPES EXPIRES TOKEN", place);
    if (token.size() < 16 || token.size() > 200 || name.size() > 100)
      return make_error(Code::kParse, "a token has 16 to 200 characters, a name at most 100", place,
                        "Make one with `openssl rand -hex 24`");
    Entry entry;
    entry.caller.name = name;
    PL_TRY(entry.caller.scopes, parse_scopes(scopes, place));
    entry.digest = base::sha256_hex(token);
    if (expires != "never") {
      entry.expires = data::parse_iso_time(expires);
      if (!entry.expires)
        return make_error(Code::kParse, fmt::format("'{}' is neither a time nor never", expires.substr(0, 40)), place,
                          "Times look like 2030-01-31T12:00:00Z");
    }
    for (const Entry& other : tokens.entries_) {
      if (other.caller.name == name || other.digest == entry.digest)
        return make_error(Code::kParse, fmt::format("name or token of '{}' is used twice", name), place);
    }
    tokens.entries_.push_back(std::move(entry));
  }
  if (tokens.entries_.empty()) return make_error(Code::kParse, "holds no token", path);
  return tokens;
}

base::Result<Caller> Tokens::recognise(std::string_view authorization, double now) const {
  if (everybody_) return Caller{"", {true, true, true, true}, true};
  constexpr std::string_view kBearer = "Bearer ";
  const bool bearer = authorization.starts_with(kBearer);
  const std::string digest = base::sha256_hex(bearer ? authorization.substr(kBearer.size()) : std::string_view());
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    const bool same = CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0;
    found = same ? &entry : found;
  }
  if (!bearer || found == nullptr)
    return make_error(Code::kValue, "no known token was presented", "unauthorized", "Send Authorization: Bearer TOKEN");
  if (found->expires && now >= *found->expires)
    return make_error(Code::kValue, fmt::format("the token of {} has expired", found->caller.name), "token_expired");
  return found->caller;
}

}  // namespace plumbline::http
