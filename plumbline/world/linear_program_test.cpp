// Linear programs: closed forms, vertices by enumeration, typed outcomes, and the certificate itself.

#include "plumbline/world/linear_program.hpp"

#include <cmath>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::world {
namespace {

using ::testing::HasSubstr;
using Sense = LinearProgram::Sense;
constexpr double kInfinity = LinearProgram::kInfinity;

std::size_t at_most(LinearProgram& program, std::vector<LinearTerm> terms, double high) {
  return program.add_at_most(terms, high);
}

TEST(LinearProgram, TextbookCaseWithItsPrices) {
  // Wyndor Glass (Hillier and Lieberman): max 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18 gives 36 at (2, 6).
  LinearProgram program(Sense::kMaximise);
  const std::size_t x = program.add_variable(3);
  const std::size_t y = program.add_variable(5);
  at_most(program, {{x, 1}}, 4);
  at_most(program, {{y, 2}}, 12);
  at_most(program, {{x, 3}, {y, 2}}, 18);
  const LinearSolution found = solve(program).value();
  ASSERT_EQ(found.status, LinearStatus::kOptimal);
  EXPECT_NEAR(found.value, 36, 1e-12);
  EXPECT_NEAR(found.primal[x], 2, 1e-12);
  EXPECT_NEAR(found.primal[y], 6, 1e-12);
  EXPECT_NEAR(found.dual[0], 0, 1e-12);
  EXPECT_NEAR(found.dual[1], 1.5, 1e-12);
  EXPECT_NEAR(found.dual[2], 1, 1e-12);
  EXPECT_LT(found.gap, 1e-12);
}

TEST(LinearProgram, InfeasibleUnboundedAndBoxesAreValues) {
  LinearProgram program;
  const std::size_t x = program.add_variable(1);
  at_most(program, {{x, 1}}, -1);
  EXPECT_EQ(solve(program)->status, LinearStatus::kInfeasible);
  program.set_row_bounds(0, -kInfinity, 5);
  program.set_sense(Sense::kMaximise);
  EXPECT_NEAR(solve(program)->value, 5, 1e-12);
  program.set_row_bounds(0, -5, kInfinity);
  EXPECT_EQ(solve(program)->status, LinearStatus::kUnbounded);
  const std::size_t y = program.add_variable(1);
  program.add_equal(std::vector<LinearTerm>{{y, 1}}, -2);
  EXPECT_EQ(solve(program)->status, LinearStatus::kInfeasible) << "infeasible although the objective is unbounded too";

  LinearProgram box;
  box.add_variable(1, -2, 3);
  box.add_variable(-1, -2, 3);
  EXPECT_EQ(solve(box)->value, -5);
  box.add_variable(1, -kInfinity, 0);
  EXPECT_EQ(solve(box)->status, LinearStatus::kUnbounded);
  EXPECT_EQ(linear_status_name(LinearStatus::kUnbounded), "unbounded");
}

/// The best vertex of max c'x, Ax <= b, 0 <= x <= 1 by trying every choice of n tight constraints.
std::optional<double> best_vertex(const std::vector<double>& c, const std::vector<std::vector<double>>& a,
                                  const std::vector<double>& b) {
  const std::size_t n = c.size();
  std::vector<std::vector<double>> all = a;
  std::vector<double> right = b;
  for (std::size_t j = 0; j < n; ++j) {
    std::vector<double> row(n, 0.0);
    row[j] = 1;
    all.push_back(row);
    right.push_back(1);
    row[j] = -1;
    all.push_back(row);
    right.push_back(0);
  }
  std::optional<double> best;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      const double det = all[i][0] * all[j][1] - all[i][1] * all[j][0];
      if (std::abs(det) < 1e-12) continue;
      const std::vector<double> x = {(right[i] * all[j][1] - right[j] * all[i][1]) / det,
                                     (all[i][0] * right[j] - all[j][0] * right[i]) / det};
      bool inside = true;
      for (std::size_t k = 0; k < all.size(); ++k)
        inside = inside && all[k][0] * x[0] + all[k][1] * x[1] <= right[k] + 1e-9;
      const double value = c[0] * x[0] + c[1] * x[1];
      if (inside && (!best || value > *best)) best = value;
    }
  }
  return best;
}

TEST(LinearProgram, AgreesWithEveryVertexTried) {
  base::Rng rng(7, {"linear program"});
  int infeasible = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<double> c = {rng.normal(), rng.normal()};
    std::vector<std::vector<double>> a(3, std::vector<double>(2));
    std::vector<double> b(3);
    LinearProgram program(Sense::kMaximise);
    for (const double cost : c) program.add_variable(cost, 0, 1);
    for (std::size_t i = 0; i < 3; ++i) {
      for (double& v : a[i]) v = rng.normal();
      b[i] = rng.normal(0.3, 0.5);
      at_most(program, {{0, a[i][0]}, {1, a[i][1]}}, b[i]);
    }
    const LinearSolution found = solve(program).value();
    const std::optional<double> brute = best_vertex(c, a, b);
    ASSERT_EQ(found.status == LinearStatus::kOptimal, brute.has_value()) << trial;
    if (!brute) {
      ++infeasible;
      continue;
    }
    EXPECT_NEAR(found.value, *brute, 1e-9) << trial;
    EXPECT_LT(found.gap, 1e-9) << trial;
    EXPECT_LT(found.violation, 1e-9) << trial;
  }
  EXPECT_GT(infeasible, 10);
}

TEST(LinearProgram, DualsPredictTheChangeOfTheValue) {
  LinearProgram program;
  for (int j = 0; j < 3; ++j) program.add_variable(1 + j);
  program.add_at_least(std::vector<LinearTerm>{{0, 1}, {1, 2}, {2, 1}}, 4);
  program.add_equal(std::vector<LinearTerm>{{0, 1}, {2, -1}}, 1);
  const LinearSolution before = solve(program).value();
  program.set_row_bounds(0, 4.25, kInfinity);
  const LinearSolution after = solve(program).value();
  EXPECT_NEAR(after.value - before.value, 0.25 * before.dual[0], 1e-12);
}

TEST(LinearProgram, TermsOfOneVariableAddUpAndTheStartDoesNotMatter) {
  LinearProgram program(Sense::kMaximise);
  const std::size_t x = program.add_variable(1);
  const std::size_t y = program.add_variable(1);
  at_most(program, {{x, 1}, {x, 1}, {y, 1}}, 4);
  program.add_equal(std::vector<LinearTerm>{{x, 1}, {y, 1}}, 3);
  const LinearSolution cold = solve(program).value();
  const LinearSolution warm = solve(program, std::vector<std::size_t>{y}).value();
  EXPECT_NEAR(cold.value, 3, 1e-12);
  EXPECT_NEAR(warm.value, 3, 1e-12);
  EXPECT_LE(2 * warm.primal[x] + warm.primal[y], 4 + 1e-12);
}

TEST(LinearProgram, SecondFunctionDecidesAmongOptima) {
  LinearProgram program(Sense::kMaximise);
  program.add_variable(1, 0, 1);
  program.add_variable(1, 0, 1);
  at_most(program, {{0, 1}, {1, 1}}, 1);
  const LinearSolution first = solve(program).value();
  const LinearSolution left = solve_among_optima(program, first, std::vector<double>{1, 0}).value();
  EXPECT_NEAR(left.primal[0], 1, 1e-12);
  const LinearSolution right = solve_among_optima(program, first, std::vector<double>{0, 1}).value();
  EXPECT_NEAR(right.primal[1], 1, 1e-12);
  const LinearSolution none = solve_among_optima(program, first, std::vector<double>{-1, -1}).value();
  EXPECT_NEAR(none.primal[0] + none.primal[1], 1, 1e-12) << "stays on the optimal face";
}

TEST(LinearProgram, AVertexStartsTheNextProgram) {
  base::Rng rng(5, {"basis"});
  LinearProgram program(Sense::kMaximise);
  for (int j = 0; j < 40; ++j) program.add_variable(rng.uniform(), 0, 1);
  const auto add = [&] {
    std::vector<LinearTerm> row;
    for (std::size_t j = 0; j < 40; ++j) row.push_back({j, rng.uniform()});
    program.add_at_most(row, 5);
  };
  for (int i = 0; i < 20; ++i) add();
  const LinearSolution first = solve(program).value();
  EXPECT_EQ(solve_from(program, first.basis, true)->pivots, 0);
  add();
  const LinearSolution more = solve_from(program, first.basis, true).value();
  EXPECT_NEAR(more.value, solve(program)->value, 1e-9);
  program.set_cost(3, 2);
  EXPECT_NEAR(solve_from(program, more.basis, false)->value, solve(program)->value, 1e-9);
  LinearProgram small;
  small.add_variable(1);
  EXPECT_EQ(solve_from(small, more.basis, true).error().code, base::Code::kShape);
}

TEST(LinearProgram, SameBitsWhateverWasSolvedBetween) {
  const auto program_of = [](std::uint64_t seed) {
    base::Rng rng(seed);
    LinearProgram program(Sense::kMaximise);
    for (int j = 0; j < 30; ++j) program.add_variable(rng.normal(), 0, 1);
    for (int i = 0; i < 20; ++i) {
      std::vector<LinearTerm> row;
      for (std::size_t j = 0; j < 30; ++j) row.push_back({j, static_cast<double>(rng.below(3))});
      program.add_at_most(row, 7);
    }
    return program;
  };
  const LinearSolution once = solve(program_of(1)).value();
  (void)solve(program_of(2)).value();
  const LinearSolution again = solve(program_of(1)).value();
  EXPECT_EQ(once.primal, again.primal);
  EXPECT_EQ(once.dual, again.dual);
}

TEST(LinearProgram, RefusesNonsense) {
  LinearProgram program;
  program.add_variable(std::nan(""));
  EXPECT_THAT(solve(program).error().text(), HasSubstr("variable 0: cost nan is not finite"));
  program.set_cost(0, 1);
  program.set_variable_bounds(0, 2, 1);
  EXPECT_THAT(solve(program).error().text(), HasSubstr("bounds [2, 1] hold no number"));
  program.set_variable_bounds(0, 0, 1);
  at_most(program, {{3, 1}}, 1);
  EXPECT_THAT(solve(program).error().text(), HasSubstr("row 0: variable 3 of 1"));
  LinearProgram other;
  other.add_variable(1);
  at_most(other, {{0, kInfinity}}, 1);
  EXPECT_THAT(solve(other).error().text(), HasSubstr("coefficient inf is not finite"));
  LinearProgram fine;
  fine.add_variable(1);
  at_most(fine, {{0, 1}}, 1);
  EXPECT_THAT(solve(fine, std::vector<std::size_t>{5}).error().text(), HasSubstr("basic variable 5 of 1"));
  const LinearSolution found = solve(fine).value();
  EXPECT_EQ(solve_among_optima(fine, found, std::vector<double>{1, 2}).error().code, base::Code::kShape);
  LinearSolution bad;
  bad.status = LinearStatus::kInfeasible;
  EXPECT_EQ(solve_among_optima(fine, bad, std::vector<double>{1}).error().code, base::Code::kValue);
}

}  // namespace
}  // namespace plumbline::world
