/// Identification: formulas against the truth in random models with hidden causes, verdicts against published graphs
/// and criteria, separating sets against enumeration.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "plumbline/counterfactual/causal/test_support.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using ::testing::HasSubstr;
using testing::random_graph;

Graph graph(const std::string& text) { return parse_graph(text, "g").value().observed(); }

Identification effect(const Graph& g, const std::string& x, const std::string& y) {
  return identify(g, {g.index(y).value()}, {g.index(x).value()}).value();
}
std::string formula(const std::string& text_of_graph) {
  const Graph g = graph(text_of_graph);
  const Identification got = effect(g, "x", "y");
  return got.identified ? text(*got.formula, g) : "hedge";
}

/// Binary tables for a graph, each <-> a hidden variable of its own behind the observed ones.
Network model(const Graph& g, base::Rng& rng) {
  std::vector<Variable> variables;
  std::vector<std::vector<int>> parents(g.size());
  for (const int v : g.all()) {
    variables.push_back({g.name(v), {"0", "1"}});
    parents[static_cast<std::size_t>(v)].assign(g.parents(v).begin(), g.parents(v).end());
  }
  for (const int v : g.all())
    for (const int s : g.siblings(v)) {
      if (s < v) continue;
      const auto hidden = static_cast<int>(variables.size());
      variables.push_back({"hidden" + std::to_string(hidden), {"0", "1"}});
      parents.emplace_back();
      parents[static_cast<std::size_t>(v)].push_back(hidden);
      parents[static_cast<std::size_t>(s)].push_back(hidden);
    }
  std::vector<Mechanism> mechanisms;
  for (const std::vector<int>& p : parents) {
    Mechanism m{p, {}};
    for (std::size_t row = 0; row < (std::size_t{1} << p.size()); ++row) {
      const double one = 0.05 + 0.9 * rng.uniform();
      m.table.push_back(1 - one);
      m.table.push_back(one);
    }
    mechanisms.push_back(std::move(m));
  }
  return Network::make("model", std::move(variables), std::move(mechanisms)).value();
}

/// The joint of the observed variables, as a lookup of P(variables | given).
class Observed {
 public:
  Observed(const Network& n, std::size_t observed) : observed_(observed), joint_(std::size_t{1} << observed, 0.0) {
    testing::enumerate(n, [&](const std::vector<int>& states, double p) { joint_[cell(states)] += p; });
  }
  double operator()(const NodeSet& variables, const NodeSet& given, const std::vector<int>& states) const {
    double above = 0;
    double below = 0;
    for (std::size_t c = 0; c < joint_.size(); ++c) {
      const auto agrees = [&](const NodeSet& nodes) {
        return std::all_of(nodes.begin(), nodes.end(), [&](int v) {
          return static_cast<int>((c >> static_cast<std::size_t>(v)) & 1U) == states[static_cast<std::size_t>(v)];
        });
      };
      if (!agrees(given)) continue;
      below += joint_[c];
      if (agrees(variables)) above += joint_[c];
    }
    return above / below;
  }

 private:
  std::size_t cell(const std::vector<int>& states) const {
    std::size_t c = 0;
    for (std::size_t v = 0; v < observed_; ++v) c |= static_cast<std::size_t>(states[v]) << v;
    return c;
  }
  std::size_t observed_;
  std::vector<double> joint_;
};

TEST(CausalIdentify, FormulasGiveTheTruthInRandomModels) {
  base::Rng rng(41);
  int identified = 0;
  int hedges = 0;
  int quotients = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const Graph g = random_graph(rng, 5, 0.5, 0.22);
    const auto order = rng.permutation(5);
    const NodeSet y = {static_cast<int>(order[0])};
    NodeSet x = {static_cast<int>(order[1])};
    NodeSet z;
    if (rng.bernoulli(0.4)) x.insert(static_cast<int>(order[2]));
    if (rng.bernoulli(0.4)) z.insert(static_cast<int>(order[3]));
    const Identification got = identify(g, y, x, z).value();
    EXPECT_FALSE(got.steps.empty());
    if (!got.identified) {
      ++hedges;
      // A hedge: both sets one c-component, the inner inside the outer and without treatment.
      EXPECT_EQ(g.components(got.hedge.outer).size(), 1U);
      EXPECT_EQ(g.components(got.hedge.inner).size(), 1U);
      EXPECT_TRUE(std::includes(got.hedge.outer.begin(), got.hedge.outer.end(), got.hedge.inner.begin(),
                                got.hedge.inner.end()));
      EXPECT_LT(got.hedge.inner.size(), got.hedge.outer.size());
      continue;
    }
    ++identified;
    const Network n = model(g, rng);
    const Observed observed(n, 5);
    std::vector<int> states(5);
    for (int& s : states) s = static_cast<int>(rng.below(2));
    Query query{{*y.begin()}, {}, {}};
    for (const int v : x) query.interventions.push_back({v, states[static_cast<std::size_t>(v)]});
    for (const int v : z) query.evidence.push_back({v, states[static_cast<std::size_t>(v)]});
    const double want =
        ask(n, query).value().probability[static_cast<std::size_t>(states[static_cast<std::size_t>(*y.begin())])];
    const double value = evaluate(*got.formula, observed, std::vector<int>(5, 2), states);
    EXPECT_NEAR(value, want, 1e-10) << text(*got.formula, g);
    quotients += text(*got.formula, g).find('/') != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(identified, 150);
  EXPECT_GT(hedges, 40);
  EXPECT_GT(quotients, 3);
}

TEST(CausalIdentify, AgreesWithTheCriterionForEffectsOnEverythingElse) {
  // Tian and Pearl 2002, theorem 2: P(v | do(x)) is identifiable iff no path of <-> edges leads from x to a child of x.
  base::Rng rng(42);
  int yes = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const Graph g = random_graph(rng, 6, 0.4, 0.15);
    const int x = static_cast<int>(rng.below(6));
    NodeSet rest = g.all();
    rest.erase(x);
    NodeSet mine;
    for (const NodeSet& c : g.components(g.all()))
      if (c.contains(x)) mine = c;
    bool want = true;
    for (const int child : g.children(x)) want = want && !mine.contains(child);
    EXPECT_EQ(identify(g, rest, {x}).value().identified, want);
    yes += want ? 1 : 0;
  }
  EXPECT_GT(yes, 50);
  EXPECT_LT(yes, 250);
}

TEST(CausalIdentify, TextbookGraphs) {
  EXPECT_EQ(formula("x -> y"), "P(y | x)");
  EXPECT_EQ(formula("z -> x -> y; z -> y"), "sum_{z} P(z) P(y | z, x)");
  EXPECT_EQ(formula("x -> y -> z"), "P(y | x)");
  EXPECT_EQ(formula("y -> x"), "P(y)");
  EXPECT_EQ(formula("x; y; x <-> y"), "P(y)");
  // The front door: Pearl 1995.
  EXPECT_EQ(formula("x -> z -> y; x <-> y"), "sum_{z} P(z | x) sum_{x'} P(x') P(y | x', z)");
  // The bow, the instrument, and a confounded first step cannot be identified.
  EXPECT_EQ(formula("x -> y; x <-> y"), "hedge");
  EXPECT_EQ(formula("w -> x -> y; x <-> y"), "hedge");
  EXPECT_EQ(formula("x -> z -> y; x <-> z"), "hedge");
  EXPECT_EQ(formula("x -> z -> y; x <-> z; z <-> y"), "hedge");
  // M-bias: nothing to adjust for.
  EXPECT_EQ(formula("x -> y; x <-> m; m <-> y"), "P(y | x)");
  // The napkin: Pearl and Mackenzie 2018.
  EXPECT_NE(formula("w -> z -> x -> y; w <-> x; w <-> y").find(" / "), std::string::npos);
}

TEST(CausalIdentify, TheDerivationIsInWordsAndTheHedgeIsNamed) {
  const Graph door = graph("x -> z -> y; x <-> y");
  const Identification front = effect(door, "x", "y");
  ASSERT_TRUE(front.identified);
  EXPECT_THAT(front.steps[0], HasSubstr("P(y | do(x)): without x the rest falls into the c-components"));
  const Graph bow = graph("x -> y; x <-> y");
  const Identification no = effect(bow, "x", "y");
  EXPECT_EQ(no.hedge.outer, (NodeSet{0, 1}));
  EXPECT_EQ(no.hedge.inner, (NodeSet{1}));
  EXPECT_THAT(no.steps.back(), HasSubstr("a hedge"));
}

TEST(CausalIdentify, ConditionalEffectsNeedTheirOwnAlgorithm) {
  // Seeing z opens nothing here: P(y | do(x), z) from back-door adjustment within z.
  const Graph g = graph("z -> x -> y; z -> y");
  const Identification got = identify(g, {2}, {1}, {0}).value();
  ASSERT_TRUE(got.identified);
  EXPECT_EQ(text(*got.formula, g), "P(y | z, x)");
  // Shpitser and Pearl 2006 (UAI): conditioning may make an effect unidentifiable.
  const Graph collider = graph("x -> y; x -> z; y <-> z; x <-> z");
  EXPECT_TRUE(effect(collider, "x", "y").identified);
  EXPECT_FALSE(identify(collider, {1}, {0}, {2}).value().identified);
}

TEST(CausalIdentify, RefusesWhatMakesNoSense) {
  const Graph g = graph("x -> y");
  EXPECT_THAT(identify(g, {}, {0}).error().text(), HasSubstr("no outcome"));
  EXPECT_THAT(identify(g, {0}, {0}).error().text(), HasSubstr("'x' is given in two places"));
  EXPECT_THAT(backdoor_sets(g, 0, 0).error().text(), HasSubstr("'x' is treatment and outcome"));
}

/// All minimal subsets of `allowed` for which `holds`.
std::vector<NodeSet> minimal_subsets(const NodeSet& allowed, const std::function<bool(const NodeSet&)>& holds) {
  const std::vector<int> nodes(allowed.begin(), allowed.end());
  std::vector<NodeSet> all;
  for (std::size_t mask = 0; mask < (std::size_t{1} << nodes.size()); ++mask) {
    NodeSet set;
    for (std::size_t k = 0; k < nodes.size(); ++k)
      if (mask >> k & 1U) set.insert(nodes[k]);
    if (holds(set)) all.push_back(std::move(set));
  }
  std::vector<NodeSet> out;
  for (const NodeSet& a : all)
    if (std::none_of(all.begin(), all.end(),
                     [&](const NodeSet& b) { return a != b && std::includes(a.begin(), a.end(), b.begin(), b.end()); }))
      out.push_back(a);
  std::sort(out.begin(), out.end(),
            [](const NodeSet& p, const NodeSet& q) { return p.size() != q.size() ? p.size() < q.size() : p < q; });
  return out;
}

TEST(CausalAdjustment, AllMinimalBackDoorSetsEqualEnumeration) {
  base::Rng rng(43);
  int found = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const Graph g = random_graph(rng, 8, 0.3, 0.08);
    const NodeSet hidden = trial % 2 == 0 ? NodeSet{} : NodeSet{static_cast<int>(rng.below(8))};
    const auto order = rng.permutation(8);
    const int x = static_cast<int>(order[0]);
    const int y = static_cast<int>(order[1]);
    if (hidden.contains(x) || hidden.contains(y)) continue;
    NodeSet allowed;
    const NodeSet below = g.descendants({x});
    for (const int v : g.all())
      if (v != y && !below.contains(v) && !hidden.contains(v)) allowed.insert(v);
    const Graph cut = g.without_outgoing({x});
    const std::vector<NodeSet> want =
        minimal_subsets(allowed, [&](const NodeSet& z) { return separated(cut, {x}, {y}, z); });
    const SetList got = backdoor_sets(g, x, y, hidden).value();
    EXPECT_TRUE(got.complete);
    EXPECT_EQ(got.sets, want);
    found += static_cast<int>(want.size());
  }
  EXPECT_GT(found, 150);
}

TEST(CausalAdjustment, BackDoorFormulaIsTheTruth) {
  base::Rng rng(44);
  int checked = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const Graph g = random_graph(rng, 5, 0.5, 0.1);
    for (const NodeSet& z : backdoor_sets(g, 1, 4).value().sets) {
      const Network n = model(g, rng);
      const Observed observed(n, 5);
      NodeSet given = z;
      given.insert(1);
      const ExpressionPtr adjusted = sum(z, product({probability(z, {}), probability({4}, given)}));
      const double want = ask(n, {{4}, {}, {{1, 1}}}).value().probability[1];
      EXPECT_NEAR(evaluate(*adjusted, observed, std::vector<int>(5, 2), std::vector<int>(5, 1)), want, 1e-10);
      ++checked;
    }
  }
  EXPECT_GT(checked, 40);
}

TEST(CausalAdjustment, SearchesStopAtTheirLimits) {
  // Twelve chains behind the treatment: 3^12 minimal sets.
  std::string text = "x -> y\n";
  for (int i = 0; i < 12; ++i) {
    const std::string k = std::to_string(i);
    text += "a" + k + " -> x; a" + k + " -> b" + k + " -> c" + k + " -> y\n";
  }
  const Graph g = graph(text);
  const SetList some = backdoor_sets(g, 0, 1, {}, 50).value();
  EXPECT_FALSE(some.complete);
  EXPECT_EQ(some.sets.size(), 50U);
}

TEST(CausalAdjustment, FrontDoorAndInstrumentsOfTextbookGraphs) {
  const Graph door = graph("x -> z -> y; x <-> y");
  EXPECT_EQ(frontdoor_sets(door, 0, 2).value().sets, (std::vector<NodeSet>{{1}}));
  EXPECT_TRUE(backdoor_sets(door, 0, 2).value().sets.empty());
  EXPECT_TRUE(frontdoor_sets(graph("x -> z -> y; x <-> y; x -> y"), 0, 2).value().sets.empty());
  EXPECT_TRUE(frontdoor_sets(graph("x -> z -> y; x <-> y; z <-> y"), 0, 2).value().sets.empty());
  const Graph twice = graph("x -> a -> y; x -> b -> y; x <-> y");
  EXPECT_EQ(frontdoor_sets(twice, 0, twice.index("y").value()).value().sets, (std::vector<NodeSet>{{1, 3}}));

  const Graph iv = graph("z -> x -> y; x <-> y; w -> z; w -> y");
  const auto found = instruments(iv, 1, 2).value();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].node, 0);
  EXPECT_EQ(found[0].given, (NodeSet{3}));
  EXPECT_TRUE(instruments(graph("z -> x -> y; x <-> y; z -> y"), 1, 2).value().empty());
  EXPECT_TRUE(instruments(graph("z -> x -> y; x <-> y; z <-> y"), 1, 2).value().empty());
}

TEST(CausalExpression, SimplifiesAndPrintsBoundNames) {
  const Graph g = graph("a -> b -> c");
  EXPECT_EQ(text(*sum({0}, probability({0, 1}, {2})), g), "P(b | c)");
  EXPECT_EQ(text(*sum({0}, product({probability({0}, {}), probability({1}, {})})), g), "P(b)");
  EXPECT_EQ(text(*quotient(probability({0, 1}, {2}), probability({1}, {2})), g), "P(a | b, c)");
  EXPECT_EQ(text(*sum({0, 1}, probability({0, 1}, {})), g), "1");
  EXPECT_EQ(
      text(*product({probability({0}, {1}), sum({1}, product({probability({1}, {}), probability({2}, {1})}))}), g),
      "P(a | b) sum_{b'} P(b') P(c | b')");
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
