#pragma once
/// Linear programs: the second route to optimal policies, and the only one to most decision rules. A small interface
/// over COIN-OR Clp, which no other file sees; what comes back is checked here again, in plain arithmetic.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::world {

struct LinearTerm {
  std::size_t variable;
  double coefficient;
};

/// Best value of sum_j cost_j x_j subject to low_j <= x_j <= high_j and row bounds low_i <= sum_j a_ij x_j <= high_i.
/// Bounds may be infinite. Variables and rows are numbered in the order of adding.
class LinearProgram {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  enum class Sense { kMinimise, kMaximise };

  explicit LinearProgram(Sense sense = Sense::kMinimise) : sense_(sense) {}

  std::size_t add_variable(double cost = 0, double low = 0, double high = kInfinity);
  std::size_t add_row(double low, std::span<const LinearTerm> terms, double high);
  std::size_t add_equal(std::span<const LinearTerm> terms, double value) { return add_row(value, terms, value); }
  std::size_t add_at_least(std::span<const LinearTerm> terms, double low) { return add_row(low, terms, kInfinity); }
  std::size_t add_at_most(std::span<const LinearTerm> terms, double high) { return add_row(-kInfinity, terms, high); }

  void set_sense(Sense sense) { sense_ = sense; }
  /// Preconditions: the variable, the row exist.
  void set_cost(std::size_t variable, double cost) { cost_.at(variable) = cost; }
  void clear_costs() { cost_.assign(cost_.size(), 0.0); }
  void set_variable_bounds(std::size_t variable, double low, double high);
  void set_row_bounds(std::size_t row, double low, double high);

  Sense sense() const { return sense_; }
  std::size_t variables() const { return cost_.size(); }
  std::size_t rows() const { return row_low_.size(); }
  const std::vector<double>& cost() const { return cost_; }
  const std::vector<double>& low() const { return low_; }
  const std::vector<double>& high() const { return high_; }
  const std::vector<double>& row_low() const { return row_low_; }
  const std::vector<double>& row_high() const { return row_high_; }
  std::span<const LinearTerm> row(std::size_t i) const {
    return std::span<const LinearTerm>(terms_).subspan(row_first_[i], row_first_[i + 1] - row_first_[i]);
  }

 private:
  Sense sense_;
  std::vector<double> cost_;
  std::vector<double> low_;
  std::vector<double> high_;
  std::vector<double> row_low_;
  std::vector<double> row_high_;
  std::vector<std::size_t> row_first_ = {0};
  std::vector<LinearTerm> terms_;
};

enum class LinearStatus { kOptimal, kInfeasible, kUnbounded };
std::string_view linear_status_name(LinearStatus status);

/// Where variables and rows rest at a vertex; as many basic ones as rows. What has no entry: a variable at its bound, a
/// row basic, so that the basis of a program also starts one with more of either.
struct LinearBasis {
  enum class Rest : std::uint8_t { kBasic, kLow, kHigh, kFree };
  std::vector<Rest> variables;
  std::vector<Rest> rows;
};

/// What was found. Figures other than the status only where it is kOptimal.
struct LinearSolution {
  LinearStatus status = LinearStatus::kOptimal;
  double value = 0;
  std::vector<double> primal;   ///< one a variable
  std::vector<double> dual;     ///< one a row: what the value gains a unit of the row's tight bound
  std::vector<double> reduced;  ///< one a variable: the same of its tight bound
  double dual_value = 0;        ///< the bound that the duals prove; between it and `value` lies the optimum
  double gap = 0;               ///< |value - dual_value|
  double violation = 0;         ///< largest violation of a bound or a row by `primal`
  int pivots = 0;
  LinearBasis basis;
};

/// Question: where is a linear function best on a polyhedron, and how is that proved?
/// Formula:  primal simplex from a given basis, dual simplex otherwise; for minimisation the dual value is
///           sum_i y_i (low_i if y_i > 0 else high_i) + sum_j d_j (low_j if d_j > 0 else high_j), d = c - A'y.
/// Shapes:   `basic`: variables to start from, at most one a row; empty: no such knowledge.
/// Returns   a vertex. Value, duals' value and violation are computed anew from the returned vectors.
/// Errors    kValue, naming the place: a cost or coefficient that is not finite, a term of an unknown variable, a low
///           bound above a high one, a NaN; basic out of range. kLimit: the simplex method did not come to an end, or
///           lost its accuracy (violation above 1e-7 or relative gap above 1e-6).
/// Outcome   kInfeasible and kUnbounded are values, not errors.
/// Cost      usually a few pivots a row; deterministic, one thread, silent. Thread-safe.
/// Source    Forrest and Hall, the COIN-OR Clp solver; Dantzig 1963 on duality.
base::Result<LinearSolution> solve(const LinearProgram& program, std::span<const std::size_t> basic = {});

/// The same from a vertex that was found before. `dual`: rows were added or bounds moved, so that the vertex still has
/// the best costs (dual simplex); else costs changed, so that it is still feasible (primal simplex). Errors    as
/// solve(); kShape: more entries than variables or rows.
base::Result<LinearSolution> solve_from(const LinearProgram& program, const LinearBasis& basis, bool dual);

/// Question: of all optima of `program`, which is best by a second function?
/// Formula:  the optimal face by complementary slackness: variables with a reduced cost and rows with a dual stay at
///           their tight bounds; `second` (one a variable, of the program's sense) is optimised over the rest.
/// Returns   the optimum of the second function; `value`, duals and gap are those of the second program.
/// Errors    as solve(); kShape: sizes; kValue: `first` is not optimal.
base::Result<LinearSolution> solve_among_optima(const LinearProgram& program, const LinearSolution& first,
                                                std::span<const double> second);

}  // namespace plumbline::world
