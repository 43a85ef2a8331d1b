#include "plumbline/robustness/proof/vnnlib.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using base::Code;
using ::testing::HasSubstr;

const std::string kDeclared =
    "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)\n";
const std::string kBox = "(assert (>= X_0 -1))\n(assert (<= X_0 1))\n(assert (>= X_1 0.1))\n(assert (<= X_1 0.25))\n";

base::Result<Property> parse(const std::string& rest, const VnnlibLimits& limits = {}) {
  return parse_vnnlib(kDeclared + rest, "p", limits);
}

void expect_refused(const base::Result<Property>& got, Code code, const std::string& text) {
  ASSERT_FALSE(got.ok()) << "expected: " << text;
  EXPECT_EQ(base::code_name(got.error().code), base::code_name(code)) << got.error().text();
  EXPECT_THAT(got.error().text(), HasSubstr(text));
}

TEST(Vnnlib, BoxesAreReadExactly) {
  const auto got = parse(kBox + "; a comment (\n(assert (<= Y_0 Y_1))");
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_EQ(got->inputs, 2U);
  EXPECT_EQ(got->outputs, 2U);
  ASSERT_EQ(got->boxes.size(), 1U);
  const InputBox& box = got->boxes[0];
  EXPECT_EQ(box.lower[0].below, -1);
  EXPECT_EQ(box.lower[0].above, -1);
  // 0.1 lies between two doubles; 0.25 is one.
  EXPECT_EQ(box.lower[1].nearest, 0.1);
  EXPECT_EQ(box.lower[1].above, 0.1);
  EXPECT_EQ(box.lower[1].below, std::nextafter(0.1, 0.0));
  EXPECT_EQ(box.upper[1].below, 0.25);
  EXPECT_EQ(box.upper[1].above, 0.25);
  ASSERT_EQ(got->cases.size(), 1U);
  ASSERT_EQ(got->cases[0].atoms.size(), 1U);
  EXPECT_FALSE(got->cases[0].atoms[0].strict);
}

TEST(Vnnlib, DisjunctionsOfBoxesAndOfOutputs) {
  const auto got = parse(
      "(assert (or (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1) (>= Y_0 5))\n"
      "            (and (>= X_0 2) (<= X_0 3) (>= X_1 0) (<= X_1 1) (>= Y_0 5))\n"
      "            (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1) (<= Y_1 -5))))");
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_EQ(got->boxes.size(), 2U);
  ASSERT_EQ(got->cases.size(), 3U);
  EXPECT_EQ(got->cases[0].box, got->cases[2].box);
  EXPECT_NE(got->cases[0].box, got->cases[1].box);
  // Two alternatives of two each: four cases, one of which contradicts itself.
  const auto product = parse(kBox + "(assert (or (<= X_0 0) (>= X_0 0.5)))(assert (or (>= X_0 0.25) (<= Y_0 0)))");
  ASSERT_TRUE(product.ok()) << product.error().text();
  EXPECT_EQ(product->cases.size(), 3U);
  EXPECT_EQ(product->empty_cases, 1U);
}

/// The formula as a plain function, over a grid of points.
void expect_same(const std::string& rest, bool (*formula)(double, double, double, double)) {
  const auto got = parse(kBox + rest);
  ASSERT_TRUE(got.ok()) << got.error().text();
  int unsafe = 0;
  for (int k = 0; k < 5 * 4 * 9 * 9; ++k) {
    const double x[2] = {-1 + 0.5 * (k % 5),
                         std::vector<double>{0.125, 0.1875, 0.25, 0.5}[static_cast<std::size_t>(k / 5 % 4)]};
    const double y[2] = {-2 + 0.5 * (k / 20 % 9), -2 + 0.5 * (k / 180)};
    const bool inside = x[1] <= 0.25;
    const auto at = judge_point(*got, x, y, y);
    ASSERT_TRUE(at.ok());
    const bool want = inside && formula(x[0], x[1], y[0], y[1]);
    unsafe += want ? 1 : 0;
    // Points on a boundary of a sum of several terms may be unclear; never the opposite.
    if (*at == AtPoint::kUnclear) continue;
    EXPECT_EQ(*at == AtPoint::kUnsafe, want) << rest << " " << x[0] << " " << x[1] << " " << y[0] << " " << y[1];
  }
  EXPECT_GT(unsafe, 0) << rest;
}

TEST(Vnnlib, MeansWhatThePlainFormulaMeans) {
  expect_same("(assert (<= Y_0 -1))", [](double, double, double a, double) { return a <= -1; });
  expect_same("(assert (< Y_0 -1))", [](double, double, double a, double) { return a < -1; });
  expect_same("(assert (not (< Y_0 -1)))", [](double, double, double a, double) { return a >= -1; });
  expect_same("(assert (not (or (< Y_0 -1) (> Y_1 1))))",
              [](double, double, double a, double b) { return a >= -1 && b <= 1; });
  expect_same("(assert (= Y_0 0.5))", [](double, double, double a, double) { return a == 0.5; });
  expect_same("(assert (not (= Y_0 0.5)))", [](double, double, double a, double) { return a != 0.5; });
  expect_same("(assert (> X_0 0.5))(assert (<= Y_0 Y_1))",
              [](double x, double, double a, double b) { return x > 0.5 && a <= b; });
  expect_same("(assert (or (and (>= Y_0 1) (>= Y_1 1)) (<= (+ (* 2.0 Y_0) (- Y_1) X_0) -4.75)))",
              [](double x, double, double a, double b) { return (a >= 1 && b >= 1) || 2 * a - b + x <= -4.75; });
  expect_same("(assert (>= (- Y_0 X_1 0.125) (/ Y_1 4)))",
              [](double, double z, double a, double b) { return a - z - 0.125 >= b / 4; });
}

TEST(Vnnlib, DecimalCoefficientsAreScaledToWholeNumbers) {
  const auto got = parse(kBox + "(assert (<= (+ (* 0.1 Y_0) (* 0.3 Y_1)) 0.2))");
  ASSERT_TRUE(got.ok()) << got.error().text();
  const LinearAtom& atom = got->cases[0].atoms[0];
  ASSERT_EQ(atom.y.size(), 2U);
  EXPECT_EQ(atom.y[0].second, 1);
  EXPECT_EQ(atom.y[1].second, 3);
  EXPECT_EQ(atom.bound.below, 2);
  EXPECT_EQ(atom.bound.above, 2);
}

TEST(Vnnlib, StrictnessAndBoundsOnOutputsDecideOrStayUnclear) {
  const auto got = parse(kBox + "(assert (< Y_0 1))");
  ASSERT_TRUE(got.ok());
  const std::vector<double> x = {0, 0.125};
  const auto at = [&](double low, double high) {
    return *judge_point(*got, x, std::vector<double>{low, 0}, std::vector<double>{high, 0});
  };
  EXPECT_EQ(at(0, 0.999), AtPoint::kUnsafe);
  EXPECT_EQ(at(0, 1), AtPoint::kUnclear);
  EXPECT_EQ(at(1, 2), AtPoint::kSafe);
  EXPECT_EQ(at(std::nan(""), 2), AtPoint::kUnclear);
  EXPECT_FALSE(judge_point(*got, std::vector<double>{0}, x, x).ok());
}

TEST(Vnnlib, WhatIsWrongIsNamed) {
  expect_refused(parse("(assert (<= Y_0 1)"), Code::kParse, "the text ends inside an expression");
  expect_refused(parse("(assert (<= Y_7 1))"), Code::kParse, "variable 'Y_7' is not declared");
  expect_refused(parse("(assert (<= Z 1))"), Code::kParse, "'Z' is neither a number nor a variable");
  expect_refused(parse("(assert (<= Y_0 1.2.3))"), Code::kParse, "'1.2.3'");
  expect_refused(parse("(assert (<= Y_0 NaN))"), Code::kParse, "'NaN'");
  expect_refused(parse("(assert (<= (* Y_0 Y_1) 1))"), Code::kParse, "not linear");
  expect_refused(parse("(assert (xor (<= Y_0 1) (<= Y_1 1)))"), Code::kParse, "'xor'");
  expect_refused(parse("(check-sat)"), Code::kParse, "'check-sat'");
  expect_refused(parse(""), Code::kParse, "no assertion");
  expect_refused(parse("(declare-const X_0 Real)"), Code::kParse, "declared twice");
  expect_refused(parse("(declare-const X_5 Real)(assert (<= Y_0 1))"), Code::kParse, "X_2 is not declared");
  expect_refused(parse("(assert (<= Y_0 1e99999))"), Code::kParse, "exponent");
  expect_refused(parse("(assert (<= Y_0 (/ 1 0)))"), Code::kParse, "division by zero");
  expect_refused(parse("(assert (<= Y_0 1))"), Code::kValue, "input X_0 has no lower bound");
  expect_refused(parse(kBox + "(assert (>= X_0 2))"), Code::kValue, "contradict each other in every case");
  expect_refused(parse(kBox + "(assert (<= 1 0))"), Code::kValue, "contradict");
  expect_refused(parse(kBox + "(assert (<= (+ Y_0 (* 1e-40 Y_1)) 1))"), Code::kValue, "needs more digits");
  expect_refused(parse(kBox + "(assert (<= Y_0 1))", {.tokens = 20}), Code::kLimit, "more than 20 words");
  expect_refused(parse("(assert " + std::string(300, '(')), Code::kParse, "expected");
  std::string deep = "(<= Y_0 1)";
  for (int i = 0; i < 100; ++i) deep = "(and " + deep + ")";
  expect_refused(parse(kBox + "(assert " + deep + ")"), Code::kLimit, "nested deeper than 64");
  std::string many;
  for (int i = 0; i < 20; ++i) many += "(assert (or (<= Y_0 1) (<= Y_1 1)))";
  expect_refused(parse(kBox + many), Code::kLimit, "more than 100000 cases");
  EXPECT_EQ(read_vnnlib("/nowhere/p.vnnlib").error().code, Code::kIo);
}

TEST(Vnnlib, TheCompetitionsFilesAreRead) {
  PL_NEEDS_DATA(acas, "vnncomp/acasxu/vnnlib/prop_2.vnnlib");
  const auto two = read_vnnlib(acas);
  ASSERT_TRUE(two.ok()) << two.error().text();
  EXPECT_EQ(two->inputs, 5U);
  ASSERT_EQ(two->cases.size(), 1U);
  EXPECT_EQ(two->cases[0].atoms.size(), 4U);
  PL_NEEDS_DATA(digits, "vnncomp/mnistfc/vnnlib/prop_0_0.05.vnnlib");
  const auto digit = read_vnnlib(digits);
  ASSERT_TRUE(digit.ok()) << digit.error().text();
  EXPECT_EQ(digit->inputs, 784U);
  EXPECT_EQ(digit->boxes.size(), 1U);
  EXPECT_EQ(digit->cases.size(), 9U);
}

}  // namespace
}  // namespace plumbline::robustness
