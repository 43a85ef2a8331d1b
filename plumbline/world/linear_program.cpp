#include "plumbline/world/linear_program.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>
#include <coin/ClpSimplex.hpp>

#include "plumbline/base/guard.hpp"

namespace plumbline::world {
namespace {

constexpr double kInfinity = LinearProgram::kInfinity;
constexpr double kTolerance = 1e-10;
constexpr double kMostViolation = 1e-7;
constexpr double kMostGap = 1e-6;

base::Status check_bounds(std::string_view what, std::size_t index, double low, double high) {
  if (std::isnan(low) || std::isnan(high) || low > high || low == kInfinity || high == -kInfinity) {
    return base::make_error(base::Code::kValue, fmt::format("bounds [{}, {}] hold no number", low, high),
                            fmt::format("solve, {} {}", what, index));
  }
  return base::ok();
}

base::Status check_program(const LinearProgram& program) {
  for (std::size_t j = 0; j < program.variables(); ++j) {
    if (!std::isfinite(program.cost()[j])) {
      return base::make_error(base::Code::kValue, fmt::format("cost {} is not finite", program.cost()[j]),
                              fmt::format("solve, variable {}", j));
    }
    PL_CHECK(check_bounds("variable", j, program.low()[j], program.high()[j]));
  }
  for (std::size_t i = 0; i < program.rows(); ++i) {
    PL_CHECK(check_bounds("row", i, program.row_low()[i], program.row_high()[i]));
    for (const LinearTerm& term : program.row(i)) {
      if (term.variable >= program.variables()) {
        return base::make_error(base::Code::kValue,
                                fmt::format("variable {} of {}", term.variable, program.variables()),
                                fmt::format("solve, row {}", i));
      }
      if (!std::isfinite(term.coefficient)) {
        return base::make_error(base::Code::kValue, fmt::format("coefficient {} is not finite", term.coefficient),
                                fmt::format("solve, row {}, variable {}", i, term.variable));
      }
    }
  }
  return base::ok();
}

/// The constraint matrix by columns, terms of the same variable in one row added up.
struct Columns {
  std::vector<CoinBigIndex> first;
  std::vector<int> row;
  std::vector<double> value;

  explicit Columns(const LinearProgram& program) {
    const std::size_t n = program.variables();
    std::vector<std::vector<std::pair<int, double>>> columns(n);
    for (std::size_t i = 0; i < program.rows(); ++i) {
      for (const LinearTerm& term : program.row(i)) {
        auto& column = columns[term.variable];
        if (!column.empty() && column.back().first == static_cast<int>(i))
          column.back().second += term.coefficient;
        else
          column.emplace_back(static_cast<int>(i), term.coefficient);
      }
    }
    first.push_back(0);
    for (const auto& column : columns) {
      for (const auto& [i, a] : column) {
        if (a == 0) continue;
        row.push_back(i);
        value.push_back(a);
      }
      first.push_back(static_cast<CoinBigIndex>(row.size()));
    }
  }
};

class Simplex {
 public:
  Simplex(const LinearProgram& program, const Columns& columns) : rows_(program.rows()) {
    const double sign = program.sense() == LinearProgram::Sense::kMaximise ? -1 : 1;
    std::vector<double> cost = program.cost();
    for (double& c : cost) c *= sign;
    model_.setLogLevel(0);
    model_.messageHandler()->setLogLevel(0);
    model_.loadProblem(static_cast<int>(program.variables()), static_cast<int>(rows_), columns.first.data(),
                       columns.row.data(), columns.value.data(), program.low().data(), program.high().data(),
                       cost.data(), program.row_low().data(), program.row_high().data());
    model_.setPrimalTolerance(kTolerance);
    model_.setDualTolerance(kTolerance);
    model_.setRandomSeed(1);
  }

  /// Each: 0 optimal, 1 infeasible, 2 unbounded or infeasible, else no answer.
  int run() {
    model_.dual();
    return finish();
  }
  int run_from(std::span<const std::size_t> basic) {
    start_from(basic);
    model_.primal();
    return finish();
  }
  int run_from(const LinearBasis& basis, bool dual) {
    start_from(basis);
    if (dual)
      model_.dual();
    else
      model_.primal();
    return finish();
  }
  void restart_without_scaling() {
    model_.scaling(0);
    model_.setPerturbation(100);
    model_.allSlackBasis(true);
    model_.primal();
    pivots_ += model_.getIterationCount();
  }
  int pivots() const { return pivots_; }
  LinearBasis basis() const {
    LinearBasis basis;
    for (int j = 0; j < model_.numberColumns(); ++j) basis.variables.push_back(rest_of(model_.getColumnStatus(j)));
    for (int i = 0; i < model_.numberRows(); ++i) basis.rows.push_back(rest_of(model_.getRowStatus(i)));
    return basis;
  }
  const ClpSimplex& model() const { return model_; }

 private:
  int finish() {
    pivots_ = model_.getIterationCount();
    // Scaled tolerances may leave the unscaled problem a little short: finish without scaling.
    if (model_.status() == 0) {
      model_.scaling(0);
      model_.primal(0, 7);
    } else if (model_.status() > 2) {
      model_.scaling(0);
      model_.allSlackBasis(true);
      model_.primal();
    }
    pivots_ += model_.getIterationCount();
    return model_.status();
  }
  static LinearBasis::Rest rest_of(ClpSimplex::Status status) {
    switch (status) {
      case ClpSimplex::basic: return LinearBasis::Rest::kBasic;
      case ClpSimplex::atUpperBound: return LinearBasis::Rest::kHigh;
      case ClpSimplex::isFree:
      case ClpSimplex::superBasic: return LinearBasis::Rest::kFree;
      default: return LinearBasis::Rest::kLow;
    }
  }
  static ClpSimplex::Status status_of(LinearBasis::Rest rest) {
    switch (rest) {
      case LinearBasis::Rest::kBasic: return ClpSimplex::basic;
      case LinearBasis::Rest::kLow: return ClpSimplex::atLowerBound;
      case LinearBasis::Rest::kHigh: return ClpSimplex::atUpperBound;
      case LinearBasis::Rest::kFree: return ClpSimplex::isFree;
    }
    throw base::InternalError("status_of: no such rest");
  }
  void start_from(const LinearBasis& basis) {
    model_.createStatus();
    for (std::size_t j = 0; j < basis.variables.size(); ++j)
      model_.setColumnStatus(static_cast<int>(j), status_of(basis.variables[j]));
    for (std::size_t i = 0; i < basis.rows.size(); ++i)
      model_.setRowStatus(static_cast<int>(i), status_of(basis.rows[i]));
  }
  /// The given variables are basic; equality rows take their slack out of the basis first.
  void start_from(std::span<const std::size_t> basic) {
    model_.createStatus();
    for (const std::size_t j : basic) model_.setColumnStatus(static_cast<int>(j), ClpSimplex::basic);
    std::size_t out = basic.size();
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t i = 0; i < rows_ && out > 0; ++i) {
        const int r = static_cast<int>(i);
        const bool equal = model_.getRowLower()[r] == model_.getRowUpper()[r];
        if (equal != (pass == 0)) continue;
        model_.setRowStatus(r,
                            model_.getRowLower()[r] > -kInfinity ? ClpSimplex::atLowerBound : ClpSimplex::atUpperBound);
        --out;
      }
    }
  }

  ClpSimplex model_;
  std::size_t rows_;
  int pivots_ = 0;
};

double row_activity(std::span<const LinearTerm> row, const std::vector<double>& x) {
  double sum = 0;
  for (const LinearTerm& term : row) sum += term.coefficient * x[term.variable];
  return sum;
}

double outside(double value, double low, double high) { return std::max({0.0, low - value, value - high}); }

/// y * bound for the bound that y's sign makes tight; no bound there: the dual is zero but for rounding.
double dual_share(double y, double low, double high) {
  if (y == 0) return 0;
  const double bound = y > 0 ? low : high;
  return std::isfinite(bound) ? y * bound : 0;
}

/// Fills every figure from primal and dual vectors, in plain arithmetic.
void certify(const LinearProgram& program, LinearSolution& found) {
  const double sign = program.sense() == LinearProgram::Sense::kMaximise ? -1 : 1;
  found.value = found.violation = 0;
  found.reduced = program.cost();
  for (double& d : found.reduced) d *= sign;
  double proved = 0;
  for (std::size_t i = 0; i < program.rows(); ++i) {
    const double y = sign * found.dual[i];
    for (const LinearTerm& term : program.row(i)) found.reduced[term.variable] -= y * term.coefficient;
    proved += dual_share(y, program.row_low()[i], program.row_high()[i]);
    found.violation = std::max(found.violation, outside(row_activity(program.row(i), found.primal),
                                                        program.row_low()[i], program.row_high()[i]));
  }
  for (std::size_t j = 0; j < program.variables(); ++j) {
    proved += dual_share(found.reduced[j], program.low()[j], program.high()[j]);
    found.value += program.cost()[j] * found.primal[j];
    found.violation = std::max(found.violation, outside(found.primal[j], program.low()[j], program.high()[j]));
    found.reduced[j] *= sign;
  }
  found.dual_value = sign * proved;
  found.gap = std::abs(found.value - found.dual_value);
}

bool accurate(const LinearSolution& found) {
  return found.violation <= kMostViolation && found.gap <= kMostGap * std::max(1.0, std::abs(found.value));
}

LinearSolution read_off(const LinearProgram& program, const Simplex& simplex) {
  const ClpSimplex& model = simplex.model();
  const double sign = program.sense() == LinearProgram::Sense::kMaximise ? -1 : 1;
  LinearSolution found;
  found.pivots = simplex.pivots();
  found.basis = simplex.basis();
  const double* x = model.getColSolution();
  found.primal.assign(x, x + program.variables());
  for (std::size_t j = 0; j < program.variables(); ++j) {
    found.primal[j] = std::clamp(found.primal[j], program.low()[j], program.high()[j]);
  }
  const double* y = model.getRowPrice();
  found.dual.assign(y, y + program.rows());
  for (double& d : found.dual) d *= sign;
  certify(program, found);
  return found;
}

/// Without rows every variable goes to its better bound.
LinearSolution solve_box(const LinearProgram& program) {
  const double sign = program.sense() == LinearProgram::Sense::kMaximise ? -1 : 1;
  LinearSolution found;
  for (std::size_t j = 0; j < program.variables(); ++j) {
    const double c = sign * program.cost()[j];
    const double low = program.low()[j];
    const double high = program.high()[j];
    double x = c > 0 ? low : c < 0 ? high : std::clamp(0.0, low, high);
    if (!std::isfinite(x)) {
      found.status = LinearStatus::kUnbounded;
      return found;
    }
    found.primal.push_back(x);
  }
  certify(program, found);
  return found;
}

/// Solves a checked program by `start`, and again without scaling where that lost its way.
template <class Start>
base::Result<LinearSolution> run(const LinearProgram& program, const Start& start) {
  if (program.rows() == 0) return solve_box(program);
  LinearSolution found;
  if (program.variables() == 0) {
    for (std::size_t i = 0; i < program.rows(); ++i) {
      if (outside(0, program.row_low()[i], program.row_high()[i]) > 0) found.status = LinearStatus::kInfeasible;
    }
    found.dual.assign(program.rows(), 0.0);
    return found;
  }
  const Columns columns(program);
  Simplex simplex(program, columns);
  int status = start(simplex);
  if (status == 0) {
    found = read_off(program, simplex);
    if (accurate(found)) return found;
  }
  if (status != 1 && status != 2) {
    simplex.restart_without_scaling();
    status = simplex.model().status();
    if (status == 0) {
      found = read_off(program, simplex);
      if (accurate(found)) return found;
      return base::make_error(base::Code::kLimit,
                              fmt::format("lost accuracy: violation {:.3g}, gap {:.3g}", found.violation, found.gap),
                              "solve", "scale the costs and coefficients");
    }
  }
  found = {};
  if (status == 1) {
    found.status = LinearStatus::kInfeasible;
    return found;
  }
  if (status == 2) {
    // A dual that has no solution leaves two answers for the primal: ask it without costs.
    LinearProgram without = program;
    without.clear_costs();
    PL_TRY(const LinearSolution any, solve(without));
    found.status = any.status == LinearStatus::kOptimal ? LinearStatus::kUnbounded : LinearStatus::kInfeasible;
    return found;
  }
  return base::make_error(base::Code::kLimit, fmt::format("the simplex method stopped with status {}", status),
                          "solve");
}

}  // namespace

std::size_t LinearProgram::add_variable(double cost, double low, double high) {
  cost_.push_back(cost);
  low_.push_back(low);
  high_.push_back(high);
  return cost_.size() - 1;
}

std::size_t LinearProgram::add_row(double low, std::span<const LinearTerm> terms, double high) {
  terms_.insert(terms_.end(), terms.begin(), terms.end());
  row_first_.push_back(terms_.size());
  row_low_.push_back(low);
  row_high_.push_back(high);
  return row_low_.size() - 1;
}

void LinearProgram::set_variable_bounds(std::size_t variable, double low, double high) {
  low_.at(variable) = low;
  high_.at(variable) = high;
}

void LinearProgram::set_row_bounds(std::size_t row, double low, double high) {
  row_low_.at(row) = low;
  row_high_.at(row) = high;
}

std::string_view linear_status_name(LinearStatus status) {
  switch (status) {
    case LinearStatus::kOptimal: return "optimal";
    case LinearStatus::kInfeasible: return "infeasible";
    case LinearStatus::kUnbounded: return "unbounded";
  }
  throw base::InternalError("linear_status_name: no such status");
}

base::Result<LinearSolution> solve(const LinearProgram& program, std::span<const std::size_t> basic) {
  PL_CHECK(check_program(program));
  PL_CHECK(base::check_in("solve", "basic variables", static_cast<double>(basic.size()), 0,
                          static_cast<double>(program.rows())));
  for (const std::size_t j : basic) {
    if (j >= program.variables()) {
      return base::make_error(base::Code::kValue, fmt::format("basic variable {} of {}", j, program.variables()),
                              "solve");
    }
  }
  return run(program, [&](Simplex& simplex) { return basic.empty() ? simplex.run() : simplex.run_from(basic); });
}

base::Result<LinearSolution> solve_from(const LinearProgram& program, const LinearBasis& basis, bool dual) {
  PL_CHECK(check_program(program));
  if (basis.variables.size() > program.variables() || basis.rows.size() > program.rows()) {
    return base::make_error(base::Code::kShape,
                            fmt::format("a basis of {} variables and {} rows for a program of {} and {}",
                                        basis.variables.size(), basis.rows.size(), program.variables(), program.rows()),
                            "solve_from");
  }
  return run(program, [&](Simplex& simplex) { return simplex.run_from(basis, dual); });
}

base::Result<LinearSolution> solve_among_optima(const LinearProgram& program, const LinearSolution& first,
                                                std::span<const double> second) {
  if (first.status != LinearStatus::kOptimal) {
    return base::make_error(base::Code::kValue, "the first solution is not optimal", "solve_among_optima");
  }
  PL_CHECK(base::check_size("solve_among_optima", "second", std::ssize(second),
                            static_cast<std::ptrdiff_t>(program.variables())));
  PL_CHECK(base::check_size("solve_among_optima", "first.primal", std::ssize(first.primal),
                            static_cast<std::ptrdiff_t>(program.variables())));
  PL_CHECK(base::check_size("solve_among_optima", "first.dual", std::ssize(first.dual),
                            static_cast<std::ptrdiff_t>(program.rows())));
  const double sign = program.sense() == LinearProgram::Sense::kMaximise ? -1 : 1;
  double scale = 1;
  for (const double c : program.cost()) scale = std::max(scale, std::abs(c));
  const double small = 1e-9 * scale;
  LinearProgram face = program;
  for (std::size_t j = 0; j < program.variables(); ++j) {
    face.set_cost(j, second[j]);
    const double d = sign * first.reduced[j];
    const double bound = d > small ? program.low()[j] : d < -small ? program.high()[j] : kInfinity;
    if (std::isfinite(bound)) face.set_variable_bounds(j, bound, bound);
  }
  for (std::size_t i = 0; i < program.rows(); ++i) {
    const double y = sign * first.dual[i];
    const double bound = y > small ? program.row_low()[i] : y < -small ? program.row_high()[i] : kInfinity;
    if (std::isfinite(bound)) face.set_row_bounds(i, bound, bound);
  }
  return solve_from(face, first.basis, false);
}

}  // namespace plumbline::world
