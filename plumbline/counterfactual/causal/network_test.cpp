#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/network.hpp"
#include "plumbline/counterfactual/causal/test_support.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTwo = R"(// a comment
network small { property author "somebody"; }
variable rain { type discrete [ 2 ] { yes, no }; }
variable "wet grass" { /* lines
 of comment */ type discrete[3] {dry, damp, soaked}; property position = (1, 2); }
probability ( rain ) { table 0.25, 0.75; }
probability ( "wet grass" | rain ) {
  (yes) 0.1, 0.3, 0.6;
  (no) 0.9 0.1 0;
}
)";

std::string fault(const std::string& text) {
  const auto read = parse_bif(text, "n.bif");
  return read.ok() ? "" : read.error().text();
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(CausalBif, ReadsBlocksCommentsPropertiesAndQuotedNames) {
  const Network n = parse_bif(kTwo, "n.bif").value();
  EXPECT_EQ(n.name(), "small");
  ASSERT_EQ(n.size(), 2U);
  EXPECT_EQ(n.variable(1).name, "wet grass");
  EXPECT_EQ(n.variable(1).states, (std::vector<std::string>{"dry", "damp", "soaked"}));
  EXPECT_EQ(n.parents(1), (std::vector<int>{0}));
  EXPECT_EQ(n.mechanism(1).table, (std::vector<double>{0.1, 0.3, 0.6, 0.9, 0.1, 0}));
  EXPECT_EQ(n.children(0), (std::vector<int>{1}));
}

TEST(CausalBif, TableRunsTheVariableItselfSlowestAndDefaultFillsRows) {
  const std::string head =
      "variable a { type discrete [ 2 ] { f, t }; } variable b { type discrete [ 2 ] { f, t }; }\n"
      "probability ( a ) { table 0.5, 0.5; }\n";
  const Network by_table = parse_bif(head + "probability ( b | a ) { table 0.9, 0.2, 0.1, 0.8; }", "n").value();
  EXPECT_EQ(by_table.mechanism(1).table, (std::vector<double>{0.9, 0.1, 0.2, 0.8}));
  const Network by_default = parse_bif(head + "probability ( b | a ) { default 0.9, 0.1; (t) 0.2, 0.8; }", "n").value();
  EXPECT_EQ(by_default.mechanism(1).table, by_table.mechanism(1).table);
}

TEST(CausalBif, WritesWhatItReads) {
  base::Rng rng(5);
  for (int i = 0; i < 40; ++i) {
    const Network n = testing::random_network(rng, 6, 4, 3, 0.2);
    const std::string text = bif_text(n).value();
    const Network again = parse_bif(text, "n").value();
    ASSERT_EQ(again.size(), n.size());
    for (int v = 0; v < 6; ++v) {
      EXPECT_EQ(again.variable(v).states, n.variable(v).states);
      EXPECT_EQ(again.parents(v), n.parents(v));
      EXPECT_EQ(again.mechanism(v).table, n.mechanism(v).table);
    }
    EXPECT_EQ(bif_text(again).value(), text);
  }
  const Network quoted = parse_bif(kTwo, "n.bif").value();
  EXPECT_EQ(parse_bif(bif_text(quoted).value(), "n").value().variable(1).name, "wet grass");
}

TEST(CausalBif, KeepsRowsAsWrittenWithinTheSlackAndRefusesOthers) {
  const Network near = parse_bif(replaced(kTwo, "0.25, 0.75", "0.25, 0.7500009"), "n.bif").value();
  EXPECT_EQ(near.mechanism(0).table[1], 0.7500009);
  EXPECT_FALSE(near.sums_to_one(0));
  EXPECT_TRUE(near.sums_to_one(1));
  EXPECT_THAT(fault(replaced(kTwo, "0.25, 0.75", "0.25, 0.750002")), HasSubstr("n.bif:6: the probabilities sum to"));
  EXPECT_THAT(fault(replaced(kTwo, "0.1, 0.3, 0.6", "0.1, 0.3, 0.5")),
              HasSubstr("n.bif:8: the probabilities sum to 0.9"));
}

TEST(CausalBif, NamesWhatIsWrongWithFileAndLine) {
  EXPECT_THAT(fault(replaced(kTwo, "(no)", "(maybe)")), HasSubstr("n.bif:9: 'rain' has no state 'maybe'"));
  EXPECT_THAT(fault(replaced(kTwo, "(no)", "(yes)")), HasSubstr("n.bif:9: 'wet grass' has this row twice"));
  EXPECT_THAT(fault(replaced(kTwo, "  (no) 0.9 0.1 0;\n", "")), HasSubstr("has 1 of 2 rows"));
  EXPECT_THAT(fault(replaced(kTwo, "0.9 0.1 0;", "0.9 0.1;")), HasSubstr("n.bif:9: 2 probabilities, expected 3"));
  EXPECT_THAT(fault(replaced(kTwo, "0.9 0.1 0;", "0.9 0.1 0 0;")), HasSubstr("expected ';' after 3 probabilities"));
  EXPECT_THAT(fault(replaced(kTwo, "0.9 0.1 0;", "1.9 -0.9 0;")), HasSubstr("1.9 is outside [0, 1]"));
  EXPECT_THAT(fault(replaced(kTwo, "0.9 0.1 0;", "nan 0.1 0;")), HasSubstr("outside [0, 1]"));
  EXPECT_THAT(fault(replaced(kTwo, "0.9 0.1 0;", "x 0.1 0;")), HasSubstr("'x' is no number"));
  EXPECT_THAT(fault(replaced(kTwo, "| rain", "| rian")), HasSubstr("did you mean 'rain'?"));
  EXPECT_THAT(fault(replaced(kTwo, "[ 2 ]", "[ 3 ]")), HasSubstr("n.bif:3: variable 'rain' has 2 states, 3 announced"));
  EXPECT_THAT(fault(replaced(kTwo, "[ 2 ]", "[ 1 ]")), HasSubstr("more states than the 1 announced"));
  EXPECT_THAT(fault(replaced(kTwo, "yes, no", "yes, yes")), HasSubstr("has the state 'yes' twice"));
  EXPECT_THAT(fault(replaced(kTwo, "discrete [", "continuous [")), HasSubstr("expected discrete"));
  EXPECT_THAT(fault(replaced(kTwo, "\"wet grass\" { /*", "rain { /*")), HasSubstr("variable 'rain' is there twice"));
  EXPECT_THAT(fault(replaced(kTwo, "probability ( rain ) { table 0.25, 0.75; }", "")),
              HasSubstr("no probability block"));
  EXPECT_THAT(fault(std::string(kTwo) + "probability ( rain ) { table 1, 0; }"), HasSubstr("second probability block"));
  EXPECT_THAT(fault(std::string(kTwo) + "\nedge a b"), HasSubstr("'edge' is not known here"));
  EXPECT_THAT(fault("network x { }"), HasSubstr("there is no variable"));
  EXPECT_THAT(fault(""), HasSubstr("there is no variable"));
  EXPECT_THAT(fault("\xff\xfe"), HasSubstr("not UTF-8"));
}

TEST(CausalBif, EveryTruncationIsAnError) {
  const std::string text = kTwo;
  const std::size_t last = text.rfind('}');
  for (std::size_t n = 0; n < last; ++n) EXPECT_FALSE(parse_bif(text.substr(0, n), "n").ok()) << n;
  EXPECT_TRUE(parse_bif(text.substr(0, last + 1), "n").ok());
}

TEST(CausalBif, NamesACycle) {
  const std::string cycle =
      "variable a { type discrete [ 1 ] { x }; } variable b { type discrete [ 1 ] { x }; }\n"
      "variable c { type discrete [ 1 ] { x }; } variable d { type discrete [ 1 ] { x }; }\n"
      "probability ( a | c ) { (x) 1; } probability ( b | a ) { (x) 1; }\n"
      "probability ( c | b ) { (x) 1; } probability ( d | c ) { (x) 1; }\n";
  EXPECT_THAT(fault(cycle), HasSubstr("n.bif: the graph has a cycle: a -> b -> c -> a"));
}

TEST(CausalBif, ObeysItsLimits) {
  BifLimits limits;
  limits.cells = 7;
  EXPECT_EQ(parse_bif(kTwo, "n", limits).error().code, base::Code::kLimit);
  limits = {};
  limits.variables = 1;
  EXPECT_EQ(parse_bif(kTwo, "n", limits).error().code, base::Code::kLimit);
  EXPECT_EQ(read_bif("/nowhere/x.bif").error().code, base::Code::kIo);
}

TEST(CausalNetwork, LooksNamesUp) {
  const Network n = parse_bif(kTwo, "n.bif").value();
  EXPECT_EQ(n.assignment("rain=no").value(), (Assignment{0, 1}));
  EXPECT_THAT(n.assignment("rain=maybe").error().text(), HasSubstr("its states are yes and no"));
  EXPECT_THAT(n.assignment("rani=no").error().text(), HasSubstr("did you mean 'rain'?"));
  EXPECT_THAT(n.assignment("rain").error().text(), HasSubstr("not of the form VARIABLE=STATE"));
  const std::vector<std::string> twice = {"rain=no", "rain=yes"};
  EXPECT_THAT(n.assignments(twice).error().text(), HasSubstr("'rain' is given twice"));
  EXPECT_EQ(n.words({{0, 1}, {1, 2}}), "rain=no, wet grass=soaked");
}

TEST(CausalNetwork, OrdersCausesFirstAndFindsRelatives) {
  base::Rng rng(3);
  const Network n = testing::random_network(rng, 12);
  std::vector<std::size_t> turn(n.size());
  for (std::size_t k = 0; k < n.order().size(); ++k) turn[static_cast<std::size_t>(n.order()[k])] = k;
  for (int v = 0; v < 12; ++v)
    for (const int p : n.parents(v)) EXPECT_LT(turn[static_cast<std::size_t>(p)], turn[static_cast<std::size_t>(v)]);
  for (int a = 0; a < 12; ++a) {
    const std::vector<int> one = {a};
    const auto down = n.descendants(one);
    for (int b = 0; b < 12; ++b) {
      const std::vector<int> other = {b};
      EXPECT_EQ(down[static_cast<std::size_t>(b)], n.ancestors(other)[static_cast<std::size_t>(a)]);
    }
  }
}

TEST(CausalNetwork, InterventionsCutAndHold) {
  const Network n = parse_bif(kTwo, "n.bif").value();
  const Network after = intervene(n, {{1, 2}}).value();
  EXPECT_TRUE(after.parents(1).empty());
  EXPECT_EQ(after.mechanism(1).table, (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(after.mechanism(0).table, n.mechanism(0).table);
  EXPECT_TRUE(after.deterministic(1));
  EXPECT_FALSE(n.deterministic(1));
  EXPECT_THAT(intervene(n, {{1, 2}, {1, 0}}).error().text(), HasSubstr("'wet grass' is set twice"));
  const Network soft = replace_mechanism(n, 1, {{}, {0.2, 0.3, 0.5}}).value();
  EXPECT_EQ(soft.mechanism(1).table[2], 0.5);
  EXPECT_EQ(draw_instead(n, "wet grass=0.2/0.3/0.5").value().mechanism(1).table, soft.mechanism(1).table);
  EXPECT_TRUE(draw_instead(n, "wet grass=0.2/0.3/0.5").value().parents(1).empty());
  EXPECT_THAT(draw_instead(n, "rain=0.2/0.3/0.5").error().text(), HasSubstr("has 3 cells, expected 2"));
  EXPECT_THAT(draw_instead(n, "rain=0.2/x").error().text(), HasSubstr("'x' is no number"));
  EXPECT_THAT(draw_instead(n, "rain=0.2/0.9").error().text(), HasSubstr("sums to 1.1"));
  EXPECT_THAT(draw_instead(n, "rain").error().text(), HasSubstr("VARIABLE=P/P"));
  EXPECT_THAT(replace_mechanism(n, 0, {{1}, {1, 0, 1, 0, 1, 0}}).error().text(), HasSubstr("cycle"));
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
