#include "plumbline/base/url.hpp"

#include <algorithm>

namespace plumbline::base {
namespace {

constexpr std::size_t kMostBytes = 8192;
constexpr std::size_t kMostNames = 64;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Length of the well-formed character that starts here (Unicode table 3-7); 0: none does.
std::size_t character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80U, unsigned high = 0xBFU) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80U) return 1;
  if (first >= 0xC2U && first <= 0xDFU) return follows(1) ? 2 : 0;
  if (first >= 0xE0U && first <= 0xEFU) {
    const bool good = follows(1, first == 0xE0U ? 0xA0U : 0x80U, first == 0xEDU ? 0x9FU : 0xBFU) && follows(2);
    return good ? 3 : 0;
  }
  if (first >= 0xF0U && first <= 0xF4U) {
    const bool good =
        follows(1, first == 0xF0U ? 0x90U : 0x80U, first == 0xF4U ? 0x8FU : 0xBFU) && follows(2) && follows(3);
    return good ? 4 : 0;
  }
  return 0;
}

Error bad(std::string what) { return make_error(Code::kParse, std::move(what), "the request's target"); }

Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return bad("a % that two hexadecimal digits do not follow");
      out += static_cast<char>(16 * high + low);
      i += 2;
    }
  }
  for (std::size_t i = 0; i < out.size();) {
    const std::size_t length = character_at(out, i);
    if (length == 0) return bad("bytes that are not UTF-8");
    if (static_cast<unsigned char>(out[i]) < 0x20U || out[i] == '\x7f') return bad("a control character");
    i += length;
  }
  return out;
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
  if (target.size() > kMostBytes) return bad("more than 8192 bytes");
  if (!target.starts_with('/')) return bad("does not begin with /");
  Target out;
  const std::size_t mark = target.find('?');
  std::string_view path = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    PL_TRY(std::string segment, decode(path.substr(0, slash), false));
    out.path.push_back(std::move(segment));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) out.path.emplace_back();  // "/a/" is not "/a"
  }
  std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (one.empty()) continue;
    const std::size_t equals = one.find('=');
    PL_TRY(std::string name, decode(one.substr(0, equals), true));
    PL_TRY(std::string value,
           decode(equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1), true));
    if (out.query.size() == kMostNames) return bad("more than 64 names");
    if (!out.query.emplace(std::move(name), std::move(value)).second) return bad("a name that comes twice");
  }
  return out;
}

std::string percent_encode(std::string_view text, std::string_view kept) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       kept.find(c) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return out;
}

}  // namespace plumbline::base
