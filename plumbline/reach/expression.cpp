#include "plumbline/reach/expression.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"

namespace plumbline::reach {

using base::Code;
using base::make_error;

namespace {

constexpr std::size_t kMaxNodes = 20'000;
constexpr std::size_t kMaxText = 10'000;
constexpr int kMaxDepth = 200;

struct FunctionInfo {
  const char* name;
  Op op;
  int arguments;  ///< -1: two or more
};

constexpr FunctionInfo kFunctions[] = {
    {"sin", Op::kSin, 1}, {"cos", Op::kCos, 1},   {"tan", Op::kTan, 1},   {"exp", Op::kExp, 1},
    {"log", Op::kLog, 1}, {"sqrt", Op::kSqrt, 1}, {"tanh", Op::kTanh, 1}, {"abs", Op::kAbs, 1},
    {"min", Op::kMin, 2}, {"max", Op::kMax, 2},   {"if", Op::kIf, 3},     {"pick", Op::kPick, -1},
};

bool smooth_op(Op op) {
  switch (op) {
    case Op::kAbs:
    case Op::kMin:
    case Op::kMax:
    case Op::kLess:
    case Op::kLessEqual:
    case Op::kEqual:
    case Op::kAnd:
    case Op::kOr:
    case Op::kNot:
    case Op::kIf:
    case Op::kPick: return false;
    default: return true;
  }
}

bool name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool name_part(char c) { return name_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0; }

}  // namespace

const std::vector<std::string>& function_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const FunctionInfo& f : kFunctions) out.emplace_back(f.name);
    return out;
  }();
  return names;
}

bool Program::smooth() const {
  return std::all_of(nodes.begin(), nodes.end(), [](const Node& n) { return smooth_op(n.op); });
}

std::vector<std::size_t> Program::variables() const {
  std::set<std::size_t> read;
  for (const Node& node : nodes) {
    if (node.op == Op::kVariable) read.insert(node.variable);
  }
  return {read.begin(), read.end()};
}

bool parse_decimal(std::string_view text, double* nearest, Interval* enclosure) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *nearest);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(*nearest)) return false;
  // Exact when digits and power of ten are both doubles and the quotient leaves no remainder.
  double digits = 0;
  double scale = 1;
  bool fraction = false;
  bool exact = true;
  for (const char c : text) {
    if (c == '.') {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      digits = digits * 10 + (c - '0');
      if (fraction) scale *= 10;
    } else {
      exact = false;
    }
  }
  exact = exact && digits < 0x1p53 && scale <= 1e22 && std::fma(*nearest, scale, -digits) == 0;
  *enclosure = exact ? Interval(*nearest) : Interval(down(*nearest), up(*nearest));
  return true;
}

/// Recursive descent over one formula.
class Parser {
 public:
  Parser(Compiler& compiler, const std::string& text, const std::string& place, int depth)
      : compiler_(compiler), text_(text), place_(place), depth_(depth) {}

  base::Result<std::size_t> whole() {
    PL_CHECK(check_length());
    PL_TRY(const std::size_t value, disjunction());
    PL_CHECK(at_end());
    return value;
  }

  /// a <= b <= c: pairs (greater side, lesser side, strict).
  struct Comparison {
    std::size_t above = 0;
    std::size_t below = 0;
    bool strict = false;
  };
  base::Result<std::vector<Comparison>> comparisons() {
    PL_CHECK(check_length());
    std::vector<Comparison> out;
    PL_TRY(std::size_t left, sum());
    PL_CHECK(number(left));
    while (true) {
      skip();
      const char c = peek();
      if (c != '<' && c != '>') break;
      ++at_;
      const bool strict = peek() != '=';
      if (!strict) ++at_;
      PL_TRY(const std::size_t right, sum());
      PL_CHECK(number(right));
      out.push_back(c == '<' ? Comparison{right, left, strict} : Comparison{left, right, strict});
      left = right;
    }
    if (out.empty()) return fail(Code::kParse, "expected a comparison: <=, <, >= or >");
    PL_CHECK(at_end());
    return out;
  }

  base::Result<std::size_t> emit(Node node) {
    std::vector<Node>& nodes = compiler_.program_.nodes;
    if (nodes.size() >= kMaxNodes) return fail(Code::kLimit, fmt::format("has more than {} terms", kMaxNodes));
    nodes.push_back(std::move(node));
    return nodes.size() - 1;
  }

 private:
  base::Error fail(Code code, const std::string& message, const std::string& hint = {}) const {
    return make_error(code, message, fmt::format("{}, column {}", place_, at_ + 1), hint);
  }
  base::Status check_length() const {
    if (text_.size() > kMaxText)
      return make_error(Code::kLimit, fmt::format("is longer than {} characters", kMaxText), place_);
    return base::ok();
  }
  base::Status at_end() {
    skip();
    if (at_ < text_.size()) return fail(Code::kParse, fmt::format("unexpected '{}'", shown()));
    return base::ok();
  }
  std::string shown() const {
    const char c = peek();
    return c >= ' ' && c < 127 ? std::string(1, c) : fmt::format("byte {}", static_cast<unsigned char>(c));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    skip();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    skip();
    if (text_.compare(at_, word.size(), word) != 0) return false;
    if (at_ + word.size() < text_.size() && name_part(text_[at_ + word.size()])) return false;
    at_ += word.size();
    return true;
  }
  base::Status enter() {
    if (++depth_ > kMaxDepth) return fail(Code::kLimit, fmt::format("is nested deeper than {} levels", kMaxDepth));
    return base::ok();
  }
  bool truth_of(std::size_t node) const { return compiler_.program_.nodes[node].truth; }
  base::Status number(std::size_t node) const {
    if (truth_of(node)) return fail(Code::kValue, "a comparison stands where a number is expected");
    return base::ok();
  }
  base::Status truth(std::size_t node) const {
    if (!truth_of(node)) return fail(Code::kValue, "a number stands where a comparison is expected");
    return base::ok();
  }

  base::Result<std::size_t> logical(Op op, std::string_view word, base::Result<std::size_t> (Parser::*next)()) {
    PL_CHECK(enter());
    PL_TRY(std::size_t left, (this->*next)());
    while (take_word(word)) {
      PL_CHECK(truth(left));
      PL_TRY(const std::size_t right, (this->*next)());
      PL_CHECK(truth(right));
      PL_TRY(left, emit(make(op, {left, right}, true)));
    }
    --depth_;
    return left;
  }
  base::Result<std::size_t> disjunction() { return logical(Op::kOr, "or", &Parser::conjunction); }
  base::Result<std::size_t> conjunction() { return logical(Op::kAnd, "and", &Parser::negation); }
  base::Result<std::size_t> negation() {
    PL_CHECK(enter());
    if (!take_word("not")) {
      --depth_;
      return comparison();
    }
    PL_TRY(const std::size_t inner, negation());
    PL_CHECK(truth(inner));
    --depth_;
    return emit(make(Op::kNot, {inner}, true));
  }

  base::Result<std::size_t> comparison() {
    PL_TRY(const std::size_t left, sum());
    skip();
    const char c = peek();
    if (c != '<' && c != '>' && c != '=' && c != '!') return left;
    ++at_;
    const bool equal = peek() == '=';
    if (equal) ++at_;
    if ((c == '=' || c == '!') && !equal) return fail(Code::kParse, "expected == or !=");
    PL_TRY(const std::size_t right, sum());
    PL_CHECK(number(left));
    PL_CHECK(number(right));
    if (c == '=') return emit(make(Op::kEqual, {left, right}, true));
    if (c == '!') {
      PL_TRY(const std::size_t same, emit(make(Op::kEqual, {left, right}, true)));
      return emit(make(Op::kNot, {same}, true));
    }
    const Op op = equal ? Op::kLessEqual : Op::kLess;
    return emit(c == '<' ? make(op, {left, right}, true) : make(op, {right, left}, true));
  }

  base::Result<std::size_t> sum() {
    PL_TRY(std::size_t left, product());
    while (true) {
      const bool plus = take('+');
      if (!plus && !take('-')) return left;
      PL_TRY(const std::size_t right, product());
      PL_CHECK(number(left));
      PL_CHECK(number(right));
      PL_TRY(left, emit(make(plus ? Op::kAdd : Op::kSub, {left, right})));
    }
  }
  base::Result<std::size_t> product() {
    PL_TRY(std::size_t left, unary());
    while (true) {
      const bool times = take('*');
      if (!times && !take('/')) return left;
      PL_TRY(const std::size_t right, unary());
      PL_CHECK(number(left));
      PL_CHECK(number(right));
      PL_TRY(left, emit(make(times ? Op::kMul : Op::kDiv, {left, right})));
    }
  }
  base::Result<std::size_t> unary() {
    PL_CHECK(enter());
    if (take('-')) {
      PL_TRY(const std::size_t inner, unary());
      PL_CHECK(number(inner));
      --depth_;
      return emit(make(Op::kNeg, {inner}));
    }
    PL_TRY(const std::size_t base, primary());
    --depth_;
    if (!take('^')) return base;
    PL_CHECK(number(base));
    skip();
    const bool bracket = take('(');
    const bool minus = take('-');
    skip();
    const std::size_t start = at_;
    PL_TRY(const double exponent, literal());
    if (bracket && !take(')')) return fail(Code::kParse, "expected ')' after the exponent");
    if (exponent == 0.5 && !minus) return emit(make(Op::kSqrt, {base}));
    if (exponent != std::floor(exponent) || exponent > 64) {
      at_ = start;
      return fail(Code::kUnsupported, "an exponent must be a whole number from -64 to 64, or 0.5",
                  "Write exp(p * log(x)) for other powers of a positive x");
    }
    Node node = make(Op::kPower, {base});
    node.exponent = static_cast<int>(minus ? -exponent : exponent);
    return emit(std::move(node));
  }

  base::Result<double> literal() {
    const std::size_t start = at_;
    while (std::isdigit(static_cast<unsigned char>(peek())) != 0 || peek() == '.') ++at_;
    if (at_ > start && (peek() == 'e' || peek() == 'E')) {
      const std::size_t mark = at_++;
      if (peek() == '+' || peek() == '-') ++at_;
      if (std::isdigit(static_cast<unsigned char>(peek())) == 0) at_ = mark;
      while (std::isdigit(static_cast<unsigned char>(peek())) != 0) ++at_;
    }
    double value = 0;
    if (!parse_decimal(std::string_view(text_).substr(start, at_ - start), &value, &enclosure_)) {
      at_ = start;
      return fail(Code::kParse, at_ < text_.size() ? fmt::format("expected a number, found '{}'", shown())
                                                   : "expected a number at the end");
    }
    return value;
  }

  base::Result<std::size_t> primary() {
    skip();
    if (take('(')) {
      PL_TRY(const std::size_t inner, disjunction());
      if (!take(')')) return fail(Code::kParse, "expected ')'");
      return inner;
    }
    if (name_start(peek())) return named();
    PL_TRY(const double value, literal());
    return constant(value, enclosure_);
  }

  base::Result<std::size_t> constant(double value, const Interval& enclosure) {
    Node node = make(Op::kConstant, {});
    node.constant = enclosure;
    node.value = value;
    return emit(std::move(node));
  }

  base::Result<std::size_t> named() {
    const std::size_t start = at_;
    while (name_part(peek())) ++at_;
    const std::string name = text_.substr(start, at_ - start);
    const std::size_t after = at_;
    if (take('(')) return call(name, start);
    at_ = after;
    if (name == "pi") return constant(3.141592653589793, Interval(3.141592653589793, 3.1415926535897936));
    const Scope& scope = compiler_.scope_;
    if (const auto found = scope.variables.find(name); found != scope.variables.end()) {
      Node node = make(Op::kVariable, {});
      node.variable = found->second;
      return emit(std::move(node));
    }
    if (const auto let = scope.lets.find(name); let != scope.lets.end()) return named_formula(name, let->second);
    at_ = start;
    if (const auto absent = scope.absent.find(name); absent != scope.absent.end())
      return fail(Code::kValue, fmt::format("'{}' cannot be used here: {}", name, absent->second));
    std::vector<std::string> known = {"pi"};
    for (const auto& [word, index] : scope.variables) known.push_back(word);
    for (const auto& [word, formula] : scope.lets) known.push_back(word);
    const std::string close = base::nearest(name, known);
    return fail(Code::kValue, fmt::format("unknown variable '{}'{}", name,
                                          close.empty() ? fmt::format(", known are {}", base::join_words(known))
                                                        : fmt::format(", did you mean '{}'?", close)));
  }

  base::Result<std::size_t> named_formula(const std::string& name, const Scope::Formula& formula) {
    if (const auto done = compiler_.done_.find(name); done != compiler_.done_.end()) return done->second;
    std::vector<std::string>& open = compiler_.open_;
    if (std::find(open.begin(), open.end(), name) != open.end())
      return fail(Code::kValue, fmt::format("'{}' is defined by itself", name));
    open.push_back(name);
    PL_CHECK(enter());
    Parser inner(compiler_, formula.text, formula.place, depth_);
    PL_TRY(const std::size_t value, inner.whole());
    --depth_;
    open.pop_back();
    compiler_.done_[name] = value;
    return value;
  }

  base::Result<std::size_t> call(const std::string& name, std::size_t start) {
    const auto* const info = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                          [&](const FunctionInfo& f) { return name == f.name; });
    if (info == std::end(kFunctions)) {
      at_ = start;
      const std::string close = base::nearest(name, function_names());
      return fail(Code::kUnsupported,
                  fmt::format("unknown function '{}'{}", name,
                              close.empty() ? fmt::format(", known are {}", base::join_words(function_names()))
                                            : fmt::format(", did you mean '{}'?", close)));
    }
    PL_CHECK(enter());
    std::vector<std::size_t> arguments;
    if (!take(')')) {
      do {
        PL_TRY(const std::size_t argument, disjunction());
        if (info->op == Op::kIf && arguments.empty()) {
          PL_CHECK(truth(argument));
        } else {
          PL_CHECK(number(argument));
        }
        arguments.push_back(argument);
      } while (take(','));
      if (!take(')')) return fail(Code::kParse, fmt::format("expected ',' or ')' in {}(...)", name));
    }
    --depth_;
    const auto wanted = static_cast<std::size_t>(info->arguments < 0 ? 2 : info->arguments);
    if (info->arguments < 0 ? arguments.size() < wanted : arguments.size() != wanted) {
      at_ = start;
      return fail(Code::kValue,
                  fmt::format("{} takes {}{} argument{}, {} given", name, info->arguments < 0 ? "at least " : "",
                              wanted, wanted == 1 ? "" : "s", arguments.size()));
    }
    return emit(make(info->op, std::move(arguments)));
  }

  static Node make(Op op, std::vector<std::size_t> from, bool truth = false) {
    Node node;
    node.op = op;
    node.from = std::move(from);
    node.truth = truth;
    return node;
  }

  Compiler& compiler_;
  const std::string& text_;
  const std::string& place_;
  std::size_t at_ = 0;
  int depth_ = 0;
  Interval enclosure_;
};

base::Status Compiler::add(const std::string& text, const std::string& place) {
  Parser parser(*this, text, place, 0);
  PL_TRY(const std::size_t value, parser.whole());
  if (program_.nodes[value].truth)
    return make_error(Code::kValue, "is a comparison, expected a number", place, "Write if(condition, a, b)");
  program_.outputs.push_back(value);
  return base::ok();
}

base::Status Compiler::add_condition(const std::string& text, const std::string& place, Conditions& out) {
  Parser parser(*this, text, place, 0);
  PL_TRY(const std::vector<Parser::Comparison> comparisons, parser.comparisons());
  for (const Parser::Comparison& c : comparisons) {
    Node node;
    node.op = Op::kSub;
    node.from = {c.above, c.below};
    PL_TRY(const std::size_t value, parser.emit(std::move(node)));
    program_.outputs.push_back(value);
    out.strict.push_back(c.strict);
    out.text.push_back(
        comparisons.size() == 1 ? text : fmt::format("{} ({} of {})", text, out.text.size() + 1, comparisons.size()));
  }
  return base::ok();
}

}  // namespace plumbline::reach
