#include "plumbline/agent/terms.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace plumbline::agent {
namespace {

base::Error bad(std::string_view id, std::string what, std::string hint) {
  return base::make_error(base::Code::kValue, std::move(what), fmt::format("agent {}", id), std::move(hint));
}

base::Result<double> read_number(std::string_view id, const NumberTerm& term, std::string_view text) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && stop == text.data() + text.size() && number >= term.low && number <= term.high &&
      (!term.whole || number == std::floor(number))) {
    return number;
  }
  return bad(id,
             fmt::format("{}={} is no {} from {} to {}", term.name, text, term.whole ? "whole number" : "number",
                         term.low, term.high),
             fmt::format("for example {}={}", term.name, term.fallback));
}

}  // namespace

std::string Terms::word(std::string_view name) const {
  const auto found = given.find(name);
  return found == given.end() ? std::string() : found->second;
}

double Terms::number(const NumberTerm& term) const {
  const auto found = given.find(term.name);
  if (found == given.end()) return term.fallback;
  double value = term.fallback;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

std::string Terms::written(std::span<const std::string_view> names) const {
  std::string text;
  for (const std::string_view name : names) {
    if (const auto found = given.find(name); found != given.end()) text += fmt::format("/{}={}", name, found->second);
  }
  return text;
}

base::Result<Terms> take_terms(std::string_view id, std::string_view text, std::span<const NumberTerm> numbers,
                               std::span<const std::string_view> words) {
  Terms taken;
  std::size_t slash = text.find('/');
  taken.rest = text.substr(0, slash);
  while (slash != std::string_view::npos) {
    const std::size_t end = text.find('/', slash + 1);
    const std::string_view term = text.substr(slash + 1, end == std::string_view::npos ? end : end - slash - 1);
    slash = end;
    const std::size_t equals = term.find('=');
    const std::string_view name = term.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : term.substr(equals + 1);
    const auto number =
        std::find_if(numbers.begin(), numbers.end(), [&](const NumberTerm& n) { return n.name == name; });
    const bool is_word = std::find(words.begin(), words.end(), name) != words.end();
    if (number == numbers.end() && !is_word) {
      taken.rest += fmt::format("/{}", term);
      continue;
    }
    if (value.empty()) return bad(id, fmt::format("'{}' has no value", term), fmt::format("write {}=…", name));
    std::string kept(value);
    if (!is_word) {
      PL_TRY(const double read, read_number(id, *number, value));
      kept = fmt::format("{}", read);
    }
    if (!taken.given.emplace(name, std::move(kept)).second)
      return bad(id, fmt::format("'{}' is given twice", name), "give it once");
  }
  return taken;
}

}  // namespace plumbline::agent
