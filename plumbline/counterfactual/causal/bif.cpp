#include "plumbline/counterfactual/causal/bif.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kBlank = " \t\r\n,";
constexpr std::string_view kMarks = "{}()[];|";

/// Heterogeneous lookup: a token is looked up without a copy.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Names = std::unordered_map<std::string, int, TextHash, std::equal_to<>>;

std::string clip(std::string_view word) { return std::string(word.substr(0, 40)); }

struct Token {
  std::string_view text;
  bool quoted = false;
  bool is(std::string_view what) const { return !quoted && text == what; }
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, const BifLimits& limits)
      : text_(text), name_(name), limits_(limits) {}

  base::Result<Network> run() {
    while (true) {
      PL_CHECK(skip());
      if (at_ >= text_.size()) break;
      PL_TRY(const Token word, token());
      if (word.is("network")) {
        PL_CHECK(network());
      } else if (word.is("variable")) {
        PL_CHECK(variable());
      } else if (word.is("probability")) {
        PL_CHECK(probability());
      } else {
        return bad(fmt::format("'{}' is not known here, expected network, variable or probability", clip(word.text)));
      }
    }
    if (variables_.empty()) return bad("there is no variable");
    for (std::size_t v = 0; v < variables_.size(); ++v)
      if (!mechanisms_[v])
        return make_error(Code::kValue, fmt::format("variable '{}' has no probability block", variables_[v].name),
                          name_);
    std::vector<Mechanism> mechanisms;
    for (std::optional<Mechanism>& m : mechanisms_) mechanisms.push_back(std::move(*m));
    auto made = Network::make(network_name_, std::move(variables_), std::move(mechanisms));
    if (!made.ok()) return made.error().at(name_);
    return made;
  }

 private:
  std::string place() const { return fmt::format("{}:{}", name_, token_line_); }
  base::Error bad(std::string message, std::string hint = {}) const {
    return make_error(Code::kParse, std::move(message), place(), std::move(hint));
  }
  base::Error too_much(std::string message) const { return make_error(Code::kLimit, std::move(message), place()); }

  /// Blanks, commas and comments.
  base::Status skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (kBlank.find(c) != std::string_view::npos) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t end = text_.find("*/", at_ + 2);
        token_line_ = line_;
        if (end == std::string_view::npos) return bad("a comment is not closed");
        line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                     text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        at_ = end + 2;
      } else {
        break;
      }
    }
    return base::ok();
  }

  base::Result<Token> token() {
    PL_CHECK(skip());
    token_line_ = line_;
    if (at_ >= text_.size()) return bad("the text ends inside a block", "the file may be cut short");
    const std::size_t first = at_;
    if (text_[at_] == '"') {
      const std::size_t end = text_.find_first_of("\"\n", at_ + 1);
      if (end == std::string_view::npos || text_[end] == '\n') return bad("a quoted name is not closed");
      at_ = end + 1;
      return Token{text_.substr(first + 1, end - first - 1), true};
    }
    if (kMarks.find(text_[at_]) != std::string_view::npos) {
      ++at_;
      return Token{text_.substr(first, 1)};
    }
    while (at_ < text_.size() && kBlank.find(text_[at_]) == std::string_view::npos &&
           kMarks.find(text_[at_]) == std::string_view::npos && text_[at_] != '"')
      ++at_;
    return Token{text_.substr(first, at_ - first)};
  }

  base::Status expect(std::string_view wanted) {
    PL_TRY(const Token word, token());
    if (!word.is(wanted)) return bad(fmt::format("found '{}', expected '{}'", clip(word.text), wanted));
    return base::ok();
  }

  /// A name of `what`; marks are none.
  base::Result<std::string_view> word(std::string_view what) {
    PL_TRY(const Token t, token());
    if (!t.quoted && kMarks.find(t.text[0]) != std::string_view::npos)
      return bad(fmt::format("found '{}', expected {}", t.text, what));
    if (t.text.empty()) return bad(fmt::format("found an empty name, expected {}", what));
    return t.text;
  }

  base::Status skip_to_semicolon() {
    while (true) {
      PL_TRY(const Token t, token());
      if (t.is(";")) return base::ok();
      if (t.is("}")) return bad("found '}', expected ';'");
    }
  }

  base::Status network() {
    PL_TRY(const Token name, token());
    if (name.is("{")) return body_of_network();
    network_name_ = std::string(name.text);
    PL_CHECK(expect("{"));
    return body_of_network();
  }

  base::Status body_of_network() {
    while (true) {
      PL_TRY(const Token t, token());
      if (t.is("}")) return base::ok();
      if (!t.is("property")) return bad(fmt::format("found '{}', expected property or '}}'", clip(t.text)));
      PL_CHECK(skip_to_semicolon());
    }
  }

  base::Status variable() {
    PL_TRY(const std::string_view name, word("the name of a variable"));
    if (variables_.size() >= limits_.variables)
      return too_much(fmt::format("more than {} variables", limits_.variables));
    if (!index_.emplace(name, static_cast<int>(variables_.size())).second)
      return bad(fmt::format("variable '{}' is there twice", clip(name)));
    Variable out{std::string(name), {}};
    PL_CHECK(expect("{"));
    while (true) {
      PL_TRY(const Token t, token());
      if (t.is("}")) break;
      if (t.is("property")) {
        PL_CHECK(skip_to_semicolon());
      } else if (t.is("type") && out.states.empty()) {
        PL_CHECK(type(out));
      } else {
        return bad(fmt::format("found '{}', expected type, property or '}}'", clip(t.text)));
      }
    }
    if (out.states.empty()) return bad(fmt::format("variable '{}' has no type", clip(name)));
    states_.emplace_back();
    for (std::size_t k = 0; k < out.states.size(); ++k)
      if (!states_.back().emplace(out.states[k], static_cast<int>(k)).second)
        return bad(fmt::format("variable '{}' has the state '{}' twice", clip(name), clip(out.states[k])));
    variables_.push_back(std::move(out));
    mechanisms_.emplace_back();
    return base::ok();
  }

  base::Status type(Variable& out) {
    PL_TRY(const std::string_view kind, word("a type"));
    if (kind != "discrete")
      return make_error(Code::kUnsupported, fmt::format("type '{}', expected discrete", clip(kind)), place());
    PL_CHECK(expect("["));
    PL_TRY(const std::string_view digits, word("the number of states"));
    std::size_t count = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || count == 0)
      return bad(fmt::format("'{}' is no number of states", clip(digits)));
    if (count > limits_.states) return too_much(fmt::format("more than {} states", limits_.states));
    PL_CHECK(expect("]"));
    PL_CHECK(expect("{"));
    while (true) {
      PL_TRY(const Token t, token());
      if (t.is("}")) break;
      if (!t.quoted && kMarks.find(t.text[0]) != std::string_view::npos)
        return bad(fmt::format("found '{}', expected a state or '}}'", t.text));
      if (out.states.size() >= count)
        return bad(fmt::format("variable '{}' has more states than the {} announced", out.name, count));
      out.states.emplace_back(t.text);
    }
    if (out.states.size() != count)
      return bad(fmt::format("variable '{}' has {} states, {} announced", out.name, out.states.size(), count));
    return expect(";");
  }

  base::Result<int> known_variable() {
    PL_TRY(const std::string_view name, word("the name of a variable"));
    if (const auto found = index_.find(name); found != index_.end()) return found->second;
    std::vector<std::string> names;
    for (const Variable& v : variables_) names.push_back(v.name);
    const std::string near = base::nearest(name, names);
    return bad(fmt::format("variable '{}' is not declared above", clip(name)),
               near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  }

  base::Result<double> number() {
    PL_TRY(const std::string_view text, word("a probability"));
    double value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
      return bad(fmt::format("'{}' is no number", clip(text)));
    if (!(value >= 0 && value <= 1 + kRowSlack))
      return bad(fmt::format("the probability {} is outside [0, 1]", clip(text)));
    return value;
  }

  /// `count` numbers and a semicolon.
  base::Status numbers(double* out, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) {
      PL_CHECK(skip());
      if (at_ < text_.size() && text_[at_] == ';') {
        token_line_ = line_;
        return bad(fmt::format("{} probabilities, expected {}", k, count));
      }
      PL_TRY(out[k], number());
    }
    PL_TRY(const Token t, token());
    if (!t.is(";")) return bad(fmt::format("found '{}', expected ';' after {} probabilities", clip(t.text), count));
    return base::ok();
  }

  base::Status check_row(const double* row, std::size_t width) const {
    double sum = 0;
    for (std::size_t k = 0; k < width; ++k) sum += row[k];
    if (std::abs(sum - 1) <= kRowSlack) return base::ok();
    return make_error(Code::kValue, fmt::format("the probabilities sum to {}, expected 1", sum), place(),
                      "rows may be off one by 1e-6");
  }

  base::Status probability() {
    PL_CHECK(expect("("));
    PL_TRY(const int self, known_variable());
    std::optional<Mechanism>& slot = mechanisms_[static_cast<std::size_t>(self)];
    const std::string& own = variables_[static_cast<std::size_t>(self)].name;
    if (slot) return bad(fmt::format("'{}' has a second probability block", own));
    Mechanism out;
    PL_TRY(const Token bar, token());
    if (bar.is("|")) {
      while (true) {
        PL_CHECK(skip());
        if (at_ < text_.size() && text_[at_] == ')') break;
        PL_TRY(const int parent, known_variable());
        const std::string& name = variables_[static_cast<std::size_t>(parent)].name;
        if (parent == self) return bad(fmt::format("'{}' is its own parent", name));
        if (std::find(out.parents.begin(), out.parents.end(), parent) != out.parents.end())
          return bad(fmt::format("'{}' has the parent '{}' twice", own, name));
        out.parents.push_back(parent);
      }
      PL_CHECK(expect(")"));
    } else if (!bar.is(")")) {
      return bad(fmt::format("found '{}', expected '|' or ')'", clip(bar.text)));
    }
    PL_CHECK(expect("{"));
    PL_CHECK(rows(self, out));
    slot = std::move(out);
    return base::ok();
  }

  base::Status rows(int self, Mechanism& out) {
    const std::size_t width = states_[static_cast<std::size_t>(self)].size();
    const std::string own = variables_[static_cast<std::size_t>(self)].name;
    std::uint64_t cells = width;
    for (const int p : out.parents) {
      cells *= states_[static_cast<std::size_t>(p)].size();
      if (cells_ + cells > limits_.cells) return too_much(fmt::format("more than {} cells of tables", limits_.cells));
    }
    cells_ += cells;
    out.table.assign(cells, 0.0);
    std::vector<bool> given(cells / width, false);
    std::vector<double> fallback;
    while (true) {
      PL_TRY(const Token t, token());
      if (t.is("}")) break;
      if (t.is("property")) {
        PL_CHECK(skip_to_semicolon());
      } else if (t.is("table")) {
        PL_CHECK(whole_table(own, width, given, out));
      } else if (t.is("default")) {
        if (!fallback.empty()) return bad("there is a second default");
        fallback.resize(width);
        PL_CHECK(numbers(fallback.data(), width));
        PL_CHECK(check_row(fallback.data(), width));
      } else if (t.is("(")) {
        PL_TRY(const std::size_t row, row_index(own, out.parents));
        if (given[row]) return bad(fmt::format("'{}' has this row twice", own));
        given[row] = true;
        double* const first = out.table.data() + row * width;
        PL_CHECK(numbers(first, width));
        PL_CHECK(check_row(first, width));
      } else {
        return bad(fmt::format("found '{}', expected table, default, a row or '}}'", clip(t.text)));
      }
    }
    const auto left = static_cast<std::size_t>(std::count(given.begin(), given.end(), false));
    if (left > 0 && fallback.empty())
      return bad(fmt::format("the table of '{}' has {} of {} rows", own, given.size() - left, given.size()));
    for (std::size_t row = 0; row < given.size(); ++row)
      if (!given[row])
        std::copy(fallback.begin(), fallback.end(), out.table.begin() + static_cast<std::ptrdiff_t>(row * width));
    return base::ok();
  }

  /// Numbers with the variable itself slowest, put where its rows are.
  base::Status whole_table(const std::string& own, std::size_t width, std::vector<bool>& given, Mechanism& out) {
    if (std::find(given.begin(), given.end(), true) != given.end())
      return bad(fmt::format("'{}' has rows and a table", own));
    std::vector<double> values(out.table.size());
    PL_CHECK(numbers(values.data(), values.size()));
    const std::size_t count = given.size();
    for (std::size_t row = 0; row < count; ++row) {
      for (std::size_t k = 0; k < width; ++k) out.table[row * width + k] = values[k * count + row];
      PL_CHECK(check_row(out.table.data() + row * width, width));
    }
    given.assign(count, true);
    return base::ok();
  }

  /// The states of the parents up to ')'.
  base::Result<std::size_t> row_index(const std::string& own, const std::vector<int>& parents) {
    std::size_t row = 0;
    for (const int p : parents) {
      PL_TRY(const std::string_view state,
             word(fmt::format("a state of '{}'", variables_[static_cast<std::size_t>(p)].name)));
      const Names& names = states_[static_cast<std::size_t>(p)];
      const auto found = names.find(state);
      if (found == names.end())
        return bad(fmt::format("'{}' has no state '{}'", variables_[static_cast<std::size_t>(p)].name, clip(state)),
                   fmt::format("in a row of '{}'", own));
      row = row * names.size() + static_cast<std::size_t>(found->second);
    }
    PL_CHECK(expect(")"));
    return row;
  }

  std::string_view text_;
  const std::string& name_;
  const BifLimits& limits_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t token_line_ = 1;
  std::uint64_t cells_ = 0;
  std::string network_name_ = "unknown";
  Names index_;
  std::vector<Variable> variables_;
  std::vector<Names> states_;
  std::vector<std::optional<Mechanism>> mechanisms_;
};

bool plain(std::string_view name) {
  if (name.empty() || name.starts_with("//") || name.starts_with("/*")) return false;
  if (name == "property" || name == "type") return false;
  return name.find_first_of(std::string(kBlank) + std::string(kMarks) + "\"") == std::string_view::npos;
}

base::Result<std::string> written(const std::string& name) {
  if (plain(name)) return name;
  if (name.find_first_of("\"\n") != std::string::npos)
    return make_error(Code::kUnsupported,
                      fmt::format("'{}' cannot be written: it holds a quote or a line end", clip(name)));
  return fmt::format("\"{}\"", name);
}

}  // namespace

base::Result<Network> parse_bif(std::string_view text, const std::string& name, const BifLimits& limits) {
  return data::guarded(name, [&]() -> base::Result<Network> {
    if (!data::is_utf8(text)) return make_error(Code::kParse, "is not UTF-8 text", name);
    return Parser(text, name, limits).run();
  });
}

base::Result<Network> read_bif(const std::string& path, const BifLimits& limits) {
  data::ReadLimits read;
  read.file_bytes = limits.file_bytes;
  read.inflated_bytes = limits.file_bytes;
  PL_TRY(data::Bytes raw, data::map_file(path, read));
  PL_TRY(const data::Bytes bytes, data::inflate_if_gzip(std::move(raw), path, read));
  return parse_bif({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, limits);
}

base::Result<std::string> bif_text(const Network& network) {
  PL_TRY(const std::string title, written(network.name().empty() ? "unknown" : network.name()));
  std::string out = fmt::format("network {} {{\n}}\n", title);
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> states;
  const auto n = static_cast<int>(network.size());
  for (int v = 0; v < n; ++v) {
    PL_TRY(std::string name, written(network.variable(v).name));
    names.push_back(std::move(name));
    states.emplace_back();
    for (const std::string& state : network.variable(v).states) {
      PL_TRY(std::string word, written(state));
      states.back().push_back(std::move(word));
    }
    out += fmt::format("variable {} {{\n  type discrete [ {} ] {{ {} }};\n}}\n", names.back(), states.back().size(),
                       fmt::join(states.back(), ", "));
  }
  for (int v = 0; v < n; ++v) {
    const Mechanism& m = network.mechanism(v);
    const auto width = static_cast<std::size_t>(network.states(v));
    std::vector<std::string> parents;
    for (const int p : m.parents) parents.push_back(names[static_cast<std::size_t>(p)]);
    out += fmt::format("probability ( {}{}{} ) {{\n", names[static_cast<std::size_t>(v)], parents.empty() ? "" : " | ",
                       fmt::join(parents, ", "));
    std::vector<int> at(m.parents.size(), 0);
    for (std::size_t first = 0; first < m.table.size(); first += width) {
      std::vector<std::string> given;
      for (std::size_t k = 0; k < at.size(); ++k)
        given.push_back(states[static_cast<std::size_t>(m.parents[k])][static_cast<std::size_t>(at[k])]);
      const std::span<const double> row(m.table.data() + first, width);
      out += m.parents.empty() ? "  table " : fmt::format("  ({}) ", fmt::join(given, ", "));
      out += fmt::format("{};\n", fmt::join(row, ", "));
      for (std::size_t k = at.size(); k-- > 0;) {
        if (++at[k] < network.states(m.parents[k])) break;
        at[k] = 0;
      }
    }
    out += "}\n";
  }
  return out;
}

base::Status write_bif(const std::string& path, const Network& network) {
  PL_TRY(const std::string text, bif_text(network));
  return data::write_bytes(path, text);
}

}  // namespace plumbline::counterfactual::causal
