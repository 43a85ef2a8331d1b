#include "plumbline/robustness/proof/vnnlib.hpp"

#include <fmt/format.h>
#include <gmpxx.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "plumbline/base/guard.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::robustness {

namespace {

using base::Code;
using base::make_error;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Digits and exponents beyond these cost time and say nothing about doubles.
constexpr std::size_t kNumberLength = 1000;
constexpr long kExponent = 1000;

Enclosed enclose(const mpq_class& value) {
  Enclosed out;
  const double towards_zero = value.get_d();
  if (std::isinf(towards_zero)) {
    const double sign = towards_zero > 0 ? 1.0 : -1.0;
    const double edge = sign * std::numeric_limits<double>::max();
    out = {std::min(edge, towards_zero), towards_zero, std::max(edge, towards_zero)};
    return out;
  }
  const mpq_class exact(towards_zero);
  if (exact == value) return {towards_zero, towards_zero, towards_zero};
  const double away = std::nextafter(towards_zero, value > 0 ? kInfinity : -kInfinity);
  out.below = std::min(towards_zero, away);
  out.above = std::max(towards_zero, away);
  const bool near_zero = std::isinf(away) || abs(value - exact) <= abs(mpq_class(away) - value);
  out.nearest = near_zero ? towards_zero : away;
  return out;
}

/// Inputs come first: variable i is X_i, variable inputs + j is Y_j.
struct ExactAtom {
  std::map<std::size_t, mpq_class> terms;  ///< X_i at 2 i, Y_j at 2 j + 1
  mpq_class bound;
  bool strict = false;
};

struct Formula {
  enum class Kind { kAtom, kAll, kAny } kind = Kind::kAll;
  std::size_t atom = 0;
  std::vector<Formula> parts;
};

struct Linear {
  std::map<std::size_t, mpq_class> terms;
  mpq_class constant;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, const VnnlibLimits& limits)
      : text_(text), name_(name), limits_(limits) {}

  base::Status run() {
    while (true) {
      skip();
      if (at_ >= text_.size()) break;
      PL_CHECK(expect("("));
      PL_TRY(const std::string_view word, token());
      if (word == "declare-const" || word == "declare-fun") {
        PL_CHECK(declare(word == "declare-fun"));
      } else if (word == "assert") {
        PL_TRY(Formula formula, parse_formula(false, 0));
        assertions.push_back(std::move(formula));
      } else {
        return bad(fmt::format("'{}' is not known here, expected declare-const or assert", clip(word)));
      }
      PL_CHECK(expect(")"));
    }
    PL_TRY(inputs, unbroken('X', 0));
    PL_TRY(outputs, unbroken('Y', 1));
    if (assertions.empty()) return bad("there is no assertion");
    return base::ok();
  }

  std::vector<Formula> assertions;
  std::vector<ExactAtom> atoms;
  std::size_t inputs = 0;
  std::size_t outputs = 0;

 private:
  static std::string clip(std::string_view word) { return std::string(word.substr(0, 40)); }

  base::Error bad(std::string message) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(start_), '\n');
    return make_error(Code::kParse, std::move(message), fmt::format("{}:{}", name_, line));
  }
  base::Error too_much(std::string message) const { return make_error(Code::kLimit, std::move(message), name_); }

  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ';') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        ++at_;
      } else {
        break;
      }
    }
  }

  base::Result<std::string_view> token() {
    skip();
    start_ = std::min(at_, text_.size());
    if (++tokens_ > limits_.tokens) return too_much(fmt::format("has more than {} words", limits_.tokens));
    if (at_ >= text_.size()) return bad("the text ends inside an expression");
    const std::size_t first = at_;
    if (text_[at_] == '(' || text_[at_] == ')') {
      ++at_;
      return text_.substr(first, 1);
    }
    while (at_ < text_.size() && std::string_view(" \n\t\r();").find(text_[at_]) == std::string_view::npos) ++at_;
    return text_.substr(first, at_ - first);
  }

  base::Status expect(std::string_view wanted) {
    PL_TRY(const std::string_view word, token());
    if (word != wanted) return bad(fmt::format("found '{}', expected '{}'", clip(word), wanted));
    return base::ok();
  }

  bool closes() {
    skip();
    return at_ < text_.size() && text_[at_] == ')';
  }

  static std::optional<std::size_t> variable(std::string_view word, char letter) {
    if (word.size() < 3 || word[0] != letter || word[1] != '_') return std::nullopt;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(word.data() + 2, word.data() + word.size(), index);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return index;
  }

  base::Status declare(bool function) {
    PL_TRY(const std::string_view word, token());
    auto index = variable(word, 'X');
    std::size_t side = 0;
    if (!index) {
      index = variable(word, 'Y');
      side = 1;
    }
    if (!index) return bad(fmt::format("variable '{}' is neither X_i nor Y_i", clip(word)));
    if (*index >= limits_.variables) return too_much(fmt::format("variable '{}': at most {}", word, limits_.variables));
    if (function) {
      PL_CHECK(expect("("));
      PL_CHECK(expect(")"));
    }
    PL_CHECK(expect("Real"));
    auto& seen = declared_[side];
    if (seen.size() <= *index) seen.resize(*index + 1, false);
    if (seen[*index]) return bad(fmt::format("variable '{}' is declared twice", word));
    seen[*index] = true;
    return base::ok();
  }

  base::Result<std::size_t> unbroken(char letter, std::size_t side) {
    const auto& seen = declared_[side];
    start_ = text_.size();
    if (seen.empty()) return bad(fmt::format("no variable {}_i is declared", letter));
    const auto gap = std::find(seen.begin(), seen.end(), false);
    if (gap != seen.end()) return bad(fmt::format("variable {}_{} is not declared", letter, gap - seen.begin()));
    return seen.size();
  }

  base::Result<Formula> parse_formula(bool negate, std::size_t depth) {
    if (depth > limits_.depth) return too_much(fmt::format("is nested deeper than {}", limits_.depth));
    PL_CHECK(expect("("));
    PL_TRY(const std::string_view word, token());
    Formula out;
    if (word == "and" || word == "or") {
      out.kind = (word == "and") != negate ? Formula::Kind::kAll : Formula::Kind::kAny;
      while (!closes()) {
        PL_TRY(Formula part, parse_formula(negate, depth + 1));
        out.parts.push_back(std::move(part));
      }
    } else if (word == "not") {
      PL_TRY(out, parse_formula(!negate, depth + 1));
    } else if (word == "<=" || word == ">=" || word == "<" || word == ">" || word == "=") {
      PL_TRY(const Linear left, parse_linear(depth + 1));
      PL_TRY(const Linear right, parse_linear(depth + 1));
      const bool strict = (word == "<" || word == ">") != (negate && word != "=");
      if (word == "=") {
        out.kind = negate ? Formula::Kind::kAny : Formula::Kind::kAll;
        PL_TRY(Formula low, compare(left, right, negate));
        PL_TRY(Formula high, compare(right, left, negate));
        out.parts = {std::move(low), std::move(high)};
      } else {
        const bool less = (word[0] == '<') != negate;
        PL_TRY(out, less ? compare(left, right, strict) : compare(right, left, strict));
      }
    } else {
      return bad(fmt::format("'{}' is not known here, expected and, or, not, <=, >=, <, > or =", clip(word)));
    }
    PL_CHECK(expect(")"));
    return out;
  }

  base::Result<Formula> compare(const Linear& left, const Linear& right, bool strict) {
    if (atoms.size() >= limits_.atoms) return too_much(fmt::format("has more than {} inequalities", limits_.atoms));
    ExactAtom atom{.terms = left.terms, .bound = right.constant - left.constant, .strict = strict};
    for (const auto& [index, value] : right.terms) atom.terms[index] -= value;
    std::erase_if(atom.terms, [](const auto& term) { return term.second == 0; });
    atoms.push_back(std::move(atom));
    return Formula{.kind = Formula::Kind::kAtom, .atom = atoms.size() - 1, .parts = {}};
  }

  base::Result<Linear> parse_linear(std::size_t depth) {
    if (depth > limits_.depth) return too_much(fmt::format("is nested deeper than {}", limits_.depth));
    PL_TRY(const std::string_view word, token());
    if (word == ")") return bad("found ')', expected a number or a variable");
    Linear out;
    if (word != "(") {
      for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
        const auto index = variable(word, side == 0 ? 'X' : 'Y');
        if (!index) continue;
        if (*index >= declared_[side].size() || !declared_[side][*index])
          return bad(fmt::format("variable '{}' is not declared", clip(word)));
        out.terms[2 * *index + side] = 1;
        return out;
      }
      PL_TRY(out.constant, number(word));
      return out;
    }
    PL_TRY(const std::string_view op, token());
    if (op != "+" && op != "-" && op != "*" && op != "/")
      return bad(fmt::format("'{}' is not known here, expected +, -, * or /", clip(op)));
    std::size_t count = 0;
    while (!closes()) {
      PL_TRY(Linear next, parse_linear(depth + 1));
      if (++count == 1) {
        out = std::move(next);
      } else if (op == "+" || op == "-") {
        const int sign = op == "+" ? 1 : -1;
        out.constant += sign * next.constant;
        for (const auto& [index, value] : next.terms) out.terms[index] += sign * value;
      } else {
        if (op == "*" && out.terms.empty()) std::swap(out, next);
        if (!next.terms.empty()) return bad("the expression is not linear");
        if (op == "/" && next.constant == 0) return bad("a division by zero");
        if (op == "/") next.constant = 1 / next.constant;
        out.constant *= next.constant;
        for (auto& [index, value] : out.terms) value *= next.constant;
      }
      if (out.terms.size() > limits_.variables) return too_much("has too many terms");
      if (mpz_sizeinbase(out.constant.get_num_mpz_t(), 2) > 65536) return too_much("a number grows too long");
    }
    if (count == 0) return bad(fmt::format("'{}' has no operand", op));
    if (count == 1 && op == "-") {
      out.constant = -out.constant;
      for (auto& [index, value] : out.terms) value = -value;
    }
    PL_CHECK(expect(")"));
    return out;
  }

  /// [sign] digits [. digits] [e [sign] digits], exactly.
  base::Result<mpq_class> number(std::string_view word) const {
    const auto refused = [&] { return bad(fmt::format("'{}' is neither a number nor a variable", clip(word))); };
    if (word.size() > kNumberLength) return bad(fmt::format("a number has more than {} characters", kNumberLength));
    std::size_t i = 0;
    const bool minus = !word.empty() && word[0] == '-';
    if (!word.empty() && (word[0] == '-' || word[0] == '+')) ++i;
    std::string digits;
    long exponent = 0;
    bool point = false;
    for (; i < word.size(); ++i) {
      if (word[i] >= '0' && word[i] <= '9') {
        digits += word[i];
        if (point) --exponent;
      } else if (word[i] == '.' && !point) {
        point = true;
      } else {
        break;
      }
    }
    if (digits.empty()) return refused();
    if (i < word.size()) {
      if (word[i] != 'e' && word[i] != 'E') return refused();
      ++i;
      if (i < word.size() && word[i] == '+') ++i;
      long shift = 0;
      const auto [end, error] = std::from_chars(word.data() + i, word.data() + word.size(), shift);
      if (error != std::errc() || end != word.data() + word.size()) return refused();
      if (std::abs(shift) > kExponent) return bad(fmt::format("'{}' has an exponent beyond {}", clip(word), kExponent));
      exponent += shift;
    }
    mpz_class ten;
    mpz_ui_pow_ui(ten.get_mpz_t(), 10, static_cast<unsigned long>(std::abs(exponent)));
    const mpz_class whole(digits, 10);
    mpq_class value = exponent >= 0 ? mpq_class(whole * ten) : mpq_class(whole, ten);
    value.canonicalize();
    return minus ? mpq_class(-value) : value;
  }

  std::string_view text_;
  const std::string& name_;
  const VnnlibLimits& limits_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;
  std::uint64_t tokens_ = 0;
  std::vector<bool> declared_[2];
};

using Conjunction = std::vector<std::size_t>;  // of atoms

/// The disjunctive normal form. Empty: false.
base::Result<std::vector<Conjunction>> normal_form(const Formula& formula, const std::string& name,
                                                   const VnnlibLimits& limits) {
  if (formula.kind == Formula::Kind::kAtom) return std::vector<Conjunction>{{formula.atom}};
  std::vector<Conjunction> all;
  if (formula.kind == Formula::Kind::kAll) all.emplace_back();
  const auto check = [&](const std::vector<Conjunction>& cases) -> base::Status {
    std::uint64_t size = 0;
    for (const Conjunction& c : cases) size += c.size() + 1;
    if (cases.size() > limits.cases || size > limits.atoms) {
      return make_error(Code::kLimit,
                        fmt::format("has more than {} cases or {} inequalities", limits.cases, limits.atoms), name);
    }
    return base::ok();
  };
  for (const Formula& part : formula.parts) {
    PL_TRY(const std::vector<Conjunction> own, normal_form(part, name, limits));
    if (formula.kind == Formula::Kind::kAny) {
      all.insert(all.end(), own.begin(), own.end());
    } else if (own.size() == 1) {
      for (Conjunction& c : all) c.insert(c.end(), own[0].begin(), own[0].end());
    } else {
      if (own.size() > 1 && all.size() > limits.cases / own.size()) {
        return make_error(Code::kLimit, fmt::format("has more than {} cases", limits.cases), name);
      }
      std::vector<Conjunction> product;
      for (const Conjunction& a : all) {
        for (const Conjunction& b : own) {
          product.push_back(a);
          product.back().insert(product.back().end(), b.begin(), b.end());
        }
      }
      all = std::move(product);
    }
    // The size is looked at where it can grow by more than what was read.
    if (formula.kind == Formula::Kind::kAny || own.size() > 1) PL_CHECK(check(all));
  }
  PL_CHECK(check(all));
  return all;
}

/// The atom with whole coefficients, each of which must be a double.
base::Result<LinearAtom> finish(const ExactAtom& exact, const std::string& name) {
  mpz_class scale = 1;
  for (const auto& [index, value] : exact.terms) scale = lcm(scale, value.get_den());
  LinearAtom atom;
  for (const auto& [index, value] : exact.terms) {
    const mpq_class whole = value * scale;
    const double coefficient = whole.get_d();
    if (!std::isfinite(coefficient) || mpq_class(coefficient) != whole) {
      return make_error(Code::kValue,
                        fmt::format("the coefficient {} of {}_{} needs more digits than a double has", value.get_d(),
                                    index % 2 == 0 ? 'X' : 'Y', index / 2),
                        name, "Scale the inequality so that all coefficients are short decimals");
    }
    (index % 2 == 0 ? atom.x : atom.y).emplace_back(index / 2, coefficient);
  }
  atom.bound = enclose(exact.bound * scale);
  atom.strict = exact.strict;
  return atom;
}

void raise(Enclosed& bound, const Enclosed& other) {
  bound = {std::max(bound.below, other.below), std::max(bound.nearest, other.nearest),
           std::max(bound.above, other.above)};
}
void sink(Enclosed& bound, const Enclosed& other) {
  bound = {std::min(bound.below, other.below), std::min(bound.nearest, other.nearest),
           std::min(bound.above, other.above)};
}

base::Result<Property> build(Parser& parser, const std::string& name, const VnnlibLimits& limits) {
  Property out;
  out.name = name;
  out.inputs = parser.inputs;
  out.outputs = parser.outputs;
  Formula all{.kind = Formula::Kind::kAll, .atom = 0, .parts = std::move(parser.assertions)};
  PL_TRY(const std::vector<Conjunction> cases, normal_form(all, name, limits));
  const std::vector<ExactAtom>& atoms = parser.atoms;
  if (cases.size() * static_cast<std::uint64_t>(out.inputs) > limits.atoms) {
    return make_error(Code::kLimit, fmt::format("has {} cases of {} inputs", cases.size(), out.inputs), name);
  }
  std::map<std::vector<double>, std::size_t> known;  // boxes by content
  std::string contradiction = "a constraint without variables is false";
  std::vector<std::optional<LinearAtom>> finished(atoms.size());
  std::vector<std::optional<Enclosed>> limits_of(atoms.size());
  constexpr Enclosed kLow{-kInfinity, -kInfinity, -kInfinity};
  constexpr Enclosed kHigh{kInfinity, kInfinity, kInfinity};
  for (const Conjunction& conjunction : cases) {
    InputBox box{std::vector<Enclosed>(out.inputs, kLow), std::vector<Enclosed>(out.inputs, kHigh)};
    UnsafeCase unsafe;
    bool empty = false;
    for (const std::size_t at : conjunction) {
      const ExactAtom& atom = atoms[at];
      if (atom.terms.empty()) {
        empty = empty || (atom.strict ? atom.bound <= 0 : atom.bound < 0);
        continue;
      }
      const auto& [index, coefficient] = *atom.terms.begin();
      const bool single_input = atom.terms.size() == 1 && index % 2 == 0;
      if (single_input) {
        if (!limits_of[at]) limits_of[at] = enclose(atom.bound / coefficient);
        if (coefficient > 0) {
          sink(box.upper[index / 2], *limits_of[at]);
        } else {
          raise(box.lower[index / 2], *limits_of[at]);
        }
      }
      if (!single_input || atom.strict) {
        if (!finished[at]) {
          PL_TRY(finished[at], finish(atom, name));
        }
        unsafe.atoms.push_back(*finished[at]);
      }
    }
    for (std::size_t i = 0; i < out.inputs && !empty; ++i) {
      const Enclosed& low = box.lower[i];
      const Enclosed& high = box.upper[i];
      if (std::isinf(low.nearest) || std::isinf(high.nearest)) {
        return make_error(Code::kValue,
                          fmt::format("input X_{} has no {} bound", i, std::isinf(low.nearest) ? "lower" : "upper"),
                          name, "Bound every input in every case");
      }
      if (low.below > high.below || low.above > high.above) {
        empty = true;
        contradiction = fmt::format("X_{} would be at least {} and at most {}", i, low.nearest, high.nearest);
      }
    }
    if (empty) {
      ++out.empty_cases;
      continue;
    }
    std::vector<double> key;
    key.reserve(6 * out.inputs);
    for (const auto* side : {&box.lower, &box.upper}) {
      for (const Enclosed& e : *side) key.insert(key.end(), {e.below, e.nearest, e.above});
    }
    const auto place = known.try_emplace(std::move(key), out.boxes.size());
    if (place.second) out.boxes.push_back(std::move(box));
    unsafe.box = place.first->second;
    out.cases.push_back(std::move(unsafe));
  }
  if (out.cases.empty()) {
    return make_error(Code::kValue,
                      fmt::format("the constraints contradict each other in every case ({}): the property would hold "
                                  "of any network",
                                  contradiction),
                      name);
  }
  return out;
}

}  // namespace

base::Result<Property> parse_vnnlib(std::string_view text, const std::string& name, const VnnlibLimits& limits) {
  if (text.size() > limits.file_bytes) {
    return make_error(Code::kLimit, fmt::format("has more than {} bytes", limits.file_bytes), name);
  }
  return data::guarded(name, [&]() -> base::Result<Property> {
    Parser parser(text, name, limits);
    PL_CHECK(parser.run());
    return build(parser, name, limits);
  });
}

base::Result<Property> read_vnnlib(const std::string& path, const VnnlibLimits& limits) {
  data::ReadLimits read;
  read.file_bytes = limits.file_bytes;
  read.inflated_bytes = limits.file_bytes;
  PL_TRY(data::Bytes raw, data::map_file(path, read));
  PL_TRY(const data::Bytes bytes, data::inflate_if_gzip(std::move(raw), path, read));
  return parse_vnnlib({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, limits);
}

base::Result<AtPoint> judge_point(const Property& property, std::span<const double> x, std::span<const double> y_low,
                                  std::span<const double> y_high, std::size_t* which) {
  PL_CHECK(base::check_size("judge_point", "x", std::ssize(x), static_cast<std::ptrdiff_t>(property.inputs)));
  PL_CHECK(base::check_size("judge_point", "y_low", std::ssize(y_low), static_cast<std::ptrdiff_t>(property.outputs)));
  PL_CHECK(
      base::check_size("judge_point", "y_high", std::ssize(y_high), static_cast<std::ptrdiff_t>(property.outputs)));
  constexpr double kUnit = 0x1p-53;
  bool unclear = false;
  for (std::size_t c = 0; c < property.cases.size(); ++c) {
    const UnsafeCase& unsafe = property.cases[c];
    const InputBox& box = property.boxes[unsafe.box];
    bool inside = true;
    for (std::size_t i = 0; i < x.size(); ++i) {
      inside = inside && x[i] >= box.lower[i].nearest && x[i] <= box.upper[i].nearest;
    }
    if (!inside) continue;
    bool all_true = true;
    bool one_false = false;
    for (const LinearAtom& atom : unsafe.atoms) {
      double low = 0;
      double high = 0;
      double size = 0;
      for (const auto& [i, a] : atom.x) {
        low += a * x[i];
        high += a * x[i];
        size += std::abs(a * x[i]);
      }
      for (const auto& [j, a] : atom.y) {
        low += a * (a > 0 ? y_low[j] : y_high[j]);
        high += a * (a > 0 ? y_high[j] : y_low[j]);
        size += std::abs(a) * std::max(std::abs(y_low[j]), std::abs(y_high[j]));
      }
      const auto terms = static_cast<double>(atom.x.size() + atom.y.size());
      // A single term with coefficient of size one is exact; else twice the error bound of a sum of products.
      const bool exact = terms == 1 && std::abs(atom.x.empty() ? atom.y[0].second : atom.x[0].second) == 1;
      const double slack = exact ? 0 : 2 * (terms + 2) * kUnit * size + 1e-300;
      low -= slack;
      high += slack;
      if (!(std::isfinite(low) && std::isfinite(high))) {
        all_true = false;
        continue;
      }
      all_true = all_true && (atom.strict ? high < atom.bound.below : high <= atom.bound.below);
      one_false = one_false || (atom.strict ? low >= atom.bound.above : low > atom.bound.above);
    }
    if (all_true) {
      if (which != nullptr) *which = c;
      return AtPoint::kUnsafe;
    }
    unclear = unclear || !one_false;
  }
  return unclear ? AtPoint::kUnclear : AtPoint::kSafe;
}

double case_excess(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y) {
  double worst = -kInfinity;
  for (const LinearAtom& atom : unsafe.atoms) {
    double sum = -atom.bound.nearest;
    for (const auto& [i, a] : atom.x) sum += a * x[i];
    for (const auto& [j, a] : atom.y) sum += a * y[j];
    if (!(sum <= worst)) worst = sum;  // NaN is never a witness
    if (std::isnan(worst)) return kInfinity;
  }
  return worst;
}

}  // namespace plumbline::robustness
