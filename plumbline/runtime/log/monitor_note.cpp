#include "plumbline/runtime/log/monitor_note.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::runtime {
namespace {

void append(std::string& out, double value) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else {
    out += "null";
  }
}
void append(std::string& out, std::uint32_t value) { fmt::format_to(std::back_inserter(out), "{}", value); }
void append(std::string& out, const std::string& value) {
  const bool plain =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  out += plain ? '"' + value + '"' : nlohmann::json(value).dump();
}

template <class T>
void append_list(std::string& out, const std::vector<T>& values) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append(out, values[i]);
  }
  out += ']';
}

bool literal(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

template <class Number>
bool number(std::string_view& text, Number& value) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return true;
}

bool cut(std::string_view& text, std::uint32_t& value) { return number(text, value); }
bool cut(std::string_view& text, double& value) {
  if (literal(text, "null")) {
    value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  return number(text, value);
}
bool cut(std::string_view& text, std::string& value) {
  if (!literal(text, "\"")) return false;
  const std::size_t end = text.find('"');
  if (end == std::string_view::npos || text.substr(0, end).find('\\') != std::string_view::npos) return false;
  value = text.substr(0, end);
  text.remove_prefix(end + 1);
  return true;
}

template <class T>
bool cut_list(std::string_view& text, std::vector<T>& values) {
  if (!literal(text, "[")) return false;
  while (!literal(text, "]")) {
    if (!values.empty() && !literal(text, ",")) return false;
    if (!cut(text, values.emplace_back())) return false;
  }
  return true;
}

}  // namespace

std::string to_json(const MonitorNote& note) {
  std::string out = fmt::format("[{},{},", note.plan, note.unit);
  append_list(out, note.signals);
  out += ',';
  append_list(out, note.numbers);
  out += ',';
  append_list(out, note.texts);
  out += ',';
  append_list(out, note.violated);
  return out + ']';
}

bool cut_monitor_note(std::string_view& text, MonitorNote& note) {
  return literal(text, "[") && number(text, note.plan) && literal(text, ",") && number(text, note.unit) &&
         literal(text, ",") && cut_list(text, note.signals) && literal(text, ",") && cut_list(text, note.numbers) &&
         literal(text, ",") && cut_list(text, note.texts) && literal(text, ",") && cut_list(text, note.violated) &&
         literal(text, "]");
}

}  // namespace plumbline::runtime
