#pragma once
/// Formulas of a system file, parsed into programs: nodes in the order of evaluation, shared sub-terms once.
/// Grammar, loosest first: or; and; not; comparison (a <= b <= c as well); + -; * /; unary -; ^; number, name,
/// name(...).

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/interval.hpp"

namespace plumbline::reach {

enum class Op {
  kConstant,
  kVariable,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kNeg,
  kPower,
  kSin,
  kCos,
  kTan,
  kExp,
  kLog,
  kSqrt,
  kTanh,
  kAbs,
  kMin,
  kMax,
  kLess,
  kLessEqual,
  kEqual,
  kAnd,
  kOr,
  kNot,
  kIf,
  kPick,
};

struct Node {
  Op op = Op::kConstant;
  std::vector<std::size_t> from;  ///< earlier nodes
  Interval constant;              ///< of kConstant: holds the written number
  double value = 0;               ///< of kConstant: the nearest double
  std::size_t variable = 0;       ///< of kVariable
  int exponent = 0;               ///< of kPower
  bool truth = false;             ///< a comparison or a combination of such
};

/// Nodes whose `outputs` are the values of several formulas.
struct Program {
  std::vector<Node> nodes;
  std::vector<std::size_t> outputs;

  /// True when every node has derivatives of every order: what a differential equation needs.
  bool smooth() const;
  /// The variables that are read, ascending, each once.
  std::vector<std::size_t> variables() const;
};

/// What names mean. `constants` and `lets` are formulas by name, read where they are used.
struct Scope {
  struct Formula {
    std::string text;
    std::string place;
  };
  std::map<std::string, std::size_t> variables;
  std::map<std::string, Formula> lets;
  std::map<std::string, std::string> absent;  ///< known names that cannot be used here, and why
};

/// One condition: the output `program.outputs[k]` must be at least 0, or above 0 where `strict[k]`.
struct Conditions {
  Program program;
  std::vector<bool> strict;
  std::vector<std::string> text;
};

/// Compiles formulas into one program.
class Compiler {
 public:
  explicit Compiler(const Scope& scope) : scope_(scope) {}

  /// Appends one formula's value as an output. Errors, all with `place` and the column: kParse; kValue: a name that is
  /// not known (with the nearest known one), a wrong number of arguments, truth where a number belongs or the other
  /// way; kUnsupported: an unknown function; kLimit: more than 20,000 nodes, 200 levels, 10,000 characters.
  base::Status add(const std::string& text, const std::string& place);
  /// Appends a comparison a <= b (or <, >=, >, a chain) as conditions b - a >= 0.
  base::Status add_condition(const std::string& text, const std::string& place, Conditions& out);

  Program take() { return std::move(program_); }

 private:
  friend class Parser;
  const Scope& scope_;
  Program program_;
  std::map<std::string, std::size_t> done_;  // values of lets
  std::vector<std::string> open_;            // lets that are being read
};

/// The number as written: the nearest double, and an interval that holds the decimal. False: it is no number.
bool parse_decimal(std::string_view text, double* nearest, Interval* enclosure);

/// Names of the functions, in the order of the documentation.
const std::vector<std::string>& function_names();

}  // namespace plumbline::reach
