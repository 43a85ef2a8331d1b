#pragma once
/// Properties of networks in VNN-LIB, as the verification competition writes them (version 1: `X_i`, `Y_i`, linear
/// inequalities, `and`, `or`, `not`). A file describes the unsafe set; numbers are read exactly.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::robustness {

/// A decimal or fraction and the doubles around it; all three are equal where a double is exact.
struct Enclosed {
  double below = 0;
  double nearest = 0;
  double above = 0;
};

/// sum_i a_i x_i + sum_j c_j y_j <= bound (or < bound). Coefficients are exact.
struct LinearAtom {
  std::vector<std::pair<std::size_t, double>> x;
  std::vector<std::pair<std::size_t, double>> y;
  Enclosed bound;
  bool strict = false;
};

/// One box of inputs; strict bounds are closed here, and also among the atoms.
struct InputBox {
  std::vector<Enclosed> lower;
  std::vector<Enclosed> upper;
};

/// True at (x, y) when x lies in the box and every atom is true.
struct UnsafeCase {
  std::size_t box = 0;  ///< index into Property::boxes
  std::vector<LinearAtom> atoms;
};

/// The unsafe set: any case true. Boxes differ from each other; each is used by at least one case.
struct Property {
  std::string name;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::vector<InputBox> boxes;
  std::vector<UnsafeCase> cases;
  std::size_t empty_cases = 0;  ///< disjuncts left out because their inputs contradict each other
};

/// Bounds on what a hostile file can cost.
struct VnnlibLimits {
  std::uint64_t file_bytes = std::uint64_t{256} << 20U;
  std::uint64_t tokens = 50'000'000;
  std::size_t depth = 64;  ///< of nested parentheses
  std::size_t variables = 10'000'000;
  std::size_t cases = 100'000;       ///< of the disjunctive normal form
  std::uint64_t atoms = 20'000'000;  ///< of all cases, and box bounds
};

/// Question: which set of inputs and outputs does this file call unsafe?
/// Formula:  the conjunction of all assertions in disjunctive normal form; in each case bounds of single inputs form
/// the
///           box, all other inequalities are atoms, an equality is two.
/// Returns   every case, numbers read exactly and enclosed by doubles.
/// Errors    kIo, kLimit: `limits`. kParse with line: parentheses, unknown words, numbers, variables that are not
///           declared or not X_i, Y_i in one unbroken range; products of variables. kValue: an input without a bound, a
///           coefficient that no double equals, or inputs that contradict each other in every case (the property would
///           hold of any network).
/// Cost      linear in the file and in the number of cases times inputs.
/// Source    Demarchi, Guidotti, Pulina, Tacchella, "Supporting standardization of neural networks verification with
///           VNNLIB and CoCoNet", FoMLAS 2023; the competition's benchmarks.
base::Result<Property> read_vnnlib(const std::string& path, const VnnlibLimits& limits = {});
base::Result<Property> parse_vnnlib(std::string_view text, const std::string& name, const VnnlibLimits& limits = {});

/// What is known of the unsafe set at one input.
enum class AtPoint {
  kUnsafe,   ///< some case is true, whatever the outputs are within their bounds
  kSafe,     ///< no case can be true
  kUnclear,  ///< the bounds on the outputs do not decide
};

/// Question: is (x, y) unsafe, for y anywhere in [y_low, y_high]?
/// Shapes    x: inputs; y_low, y_high: outputs.
/// Returns   with `which`, the case that is true. The box is the one of nearest doubles. Sums are rounded against the
///           answer; what is not finite is unclear.
/// Errors    kShape: sizes.
base::Result<AtPoint> judge_point(const Property& property, std::span<const double> x, std::span<const double> y_low,
                                  std::span<const double> y_high, std::size_t* which = nullptr);

/// How far (x, y) is from making the case true, in plain double: the largest of sum - bound over the atoms; at most 0
/// where all hold. -infinity without atoms. Precondition: sizes.
double case_excess(const UnsafeCase& unsafe, std::span<const double> x, std::span<const double> y);

}  // namespace plumbline::robustness
