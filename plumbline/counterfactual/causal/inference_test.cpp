/// Exact and sampled inference against plain enumeration, and against the posteriors of independent engines.

#include <algorithm>
#include <cmath>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/junction_tree.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "plumbline/counterfactual/causal/test_support.hpp"
#include "plumbline/data/csv.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using testing::enumerated;
using ::testing::HasSubstr;
using testing::random_evidence;
using testing::random_network;

constexpr double kTight = 1e-12;

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], want[k], tolerance);
}

/// Rows of about half the tables miss one by up to 1e-6.
Network off_one(const Network& n, base::Rng& rng) {
  Network out = n;
  for (int v = 0; v < static_cast<int>(n.size()); ++v) {
    if (rng.bernoulli(0.5)) continue;
    Mechanism m = n.mechanism(v);
    for (double& p : m.table) p *= 1 - 9e-7 * rng.uniform();
    out = replace_mechanism(out, v, std::move(m)).value();
  }
  return out;
}

TEST(CausalInference, EliminationAndJunctionTreeEqualEnumeration) {
  base::Rng rng(11);
  int impossible = 0;
  for (int trial = 0; trial < 300; ++trial) {
    Network n = random_network(rng, 2 + static_cast<int>(rng.below(7)), 3, 3, trial % 3 == 0 ? 0.4 : 0);
    if (trial % 5 == 0) n = off_one(n, rng);
    const Assignments evidence = random_evidence(n, rng, 3);
    const auto heuristic = static_cast<Heuristic>(trial % 3);
    ExactLimits limits;
    limits.heuristic = heuristic;
    const Posteriors all = marginals(n, evidence, limits).value();
    for (int v = 0; v < static_cast<int>(n.size()); ++v) {
      double p = 0;
      const std::vector<double> want = enumerated(n, v, evidence, &p);
      const Answer answer = ask(n, {{v}, evidence, {}}, limits).value();
      ASSERT_EQ(all.impossible, want.empty());
      ASSERT_EQ(answer.outcome == QueryOutcome::kImpossible, want.empty());
      if (want.empty()) {
        ++impossible;
        EXPECT_THAT(answer.reason, HasSubstr("has probability zero"));
        continue;
      }
      expect_near(answer.probability, want, kTight);
      expect_near(all.marginal[static_cast<std::size_t>(v)], want, kTight);
      EXPECT_NEAR(answer.log_evidence, std::log(p), 1e-11);
      // With the target's own rows off one, as far as their slack.
      EXPECT_NEAR(all.log_evidence, std::log(p), trial % 5 == 0 ? 1e-5 : 1e-11);
    }
  }
  EXPECT_GT(impossible, 20);
}

TEST(CausalInference, JunctionTreeHasItsProperties) {
  base::Rng rng(12);
  for (int trial = 0; trial < 60; ++trial) {
    const Network n = random_network(rng, 15, 3, 4);
    const JunctionTree tree = JunctionTree::make(n, static_cast<Heuristic>(trial % 3));
    const auto inside = [](const std::vector<int>& a, const std::vector<int>& b) {
      return std::includes(b.begin(), b.end(), a.begin(), a.end());
    };
    for (int v = 0; v < 15; ++v) {
      std::vector<int> family = n.parents(v);
      family.push_back(v);
      std::sort(family.begin(), family.end());
      bool held = false;
      for (std::size_t c = 0; c < tree.cliques(); ++c) held = held || inside(family, tree.clique(c));
      EXPECT_TRUE(held) << v;
    }
    for (std::size_t a = 0; a < tree.cliques(); ++a)
      for (std::size_t b = 0; b < tree.cliques(); ++b)
        EXPECT_TRUE(a == b || !inside(tree.clique(a), tree.clique(b))) << "clique " << a << " lies in " << b;
  }
}

TEST(CausalInference, JointsOfSeveralTargetsEqualEnumeration) {
  base::Rng rng(13);
  for (int trial = 0; trial < 100; ++trial) {
    const Network n = random_network(rng, 6);
    const Assignments evidence = random_evidence(n, rng, 2);
    const auto picked = rng.permutation(6);
    const std::vector<int> targets = {static_cast<int>(picked[0]), static_cast<int>(picked[1]),
                                      static_cast<int>(picked[2])};
    const Answer answer = ask(n, {targets, evidence, {}}).value();
    std::vector<double> want(answer.probability.size(), 0.0);
    double sum = 0;
    testing::enumerate(n, [&](const std::vector<int>& states, double p) {
      for (const Assignment& a : evidence)
        if (states[static_cast<std::size_t>(a.variable)] != a.state) return;
      std::size_t cell = 0;
      for (const int t : targets)
        cell = cell * static_cast<std::size_t>(n.states(t)) +
               static_cast<std::size_t>(states[static_cast<std::size_t>(t)]);
      want[cell] += p;
      sum += p;
    });
    for (double& p : want) p /= sum;
    expect_near(answer.probability, want, kTight);
  }
}

TEST(CausalInference, DoCutsWhatSeeingKeeps) {
  base::Rng rng(14);
  for (int trial = 0; trial < 100; ++trial) {
    const Network n = random_network(rng, 6);
    const Assignments set = random_evidence(n, rng, 2);
    Assignments seen;
    for (const Assignment& a : random_evidence(n, rng, 2))
      if (std::none_of(set.begin(), set.end(), [&](const Assignment& b) { return b.variable == a.variable; }))
        seen.push_back(a);
    const int target = static_cast<int>(rng.below(6));
    // The truncated factorisation, by hand: terms of set variables are left out, and only agreeing states count.
    std::vector<double> want(static_cast<std::size_t>(n.states(target)), 0.0);
    std::vector<int> states(6, 0);
    double sum = 0;
    const auto visit = [&](const std::vector<int>& at, double) {
      double p = 1;
      for (const Assignment& a : set)
        if (at[static_cast<std::size_t>(a.variable)] != a.state) return;
      for (const Assignment& a : seen)
        if (at[static_cast<std::size_t>(a.variable)] != a.state) return;
      for (int v = 0; v < 6; ++v) {
        if (std::any_of(set.begin(), set.end(), [&](const Assignment& a) { return a.variable == v; })) continue;
        std::vector<int> given;
        for (const int parent : n.parents(v)) given.push_back(at[static_cast<std::size_t>(parent)]);
        p *= n.row(v, given)[static_cast<std::size_t>(at[static_cast<std::size_t>(v)])];
      }
      want[static_cast<std::size_t>(at[static_cast<std::size_t>(target)])] += p;
      sum += p;
    };
    testing::enumerate(n, visit);
    for (double& p : want) p /= sum;
    expect_near(ask(n, {{target}, seen, set}).value().probability, want, kTight);
  }
}

TEST(CausalInference, LogSpaceHoldsWhereProbabilitiesUnderflow) {
  // 400 children of one cause, each seen at 1e-3 or 2e-3: the joint is far below the smallest double.
  std::vector<Variable> variables = {{"cause", {"a", "b"}}};
  std::vector<Mechanism> mechanisms = {{{}, {0.5, 0.5}}};
  Assignments evidence;
  for (int i = 0; i < 400; ++i) {
    variables.push_back({"sign" + std::to_string(i), {"seen", "not"}});
    const double p = i % 2 == 0 ? 1e-3 : 1.001e-3;
    mechanisms.push_back({{0}, {p, 1 - p, 1e-3, 1 - 1e-3}});
    evidence.push_back({i + 1, 0});
  }
  const Network n = Network::make("signs", variables, mechanisms).value();
  const double odds = std::pow(1.001, 200);
  const std::vector<double> want = {odds / (1 + odds), 1 / (1 + odds)};
  const Answer answer = ask(n, {{0}, evidence, {}}).value();
  expect_near(answer.probability, want, 1e-10);
  EXPECT_NEAR(answer.log_evidence, 400 * std::log(1e-3) + std::log(0.5 * (1 + odds)), 1e-8);
  expect_near(JunctionTree::make(n).posteriors(evidence).value().marginal[0], want, 1e-10);
}

TEST(CausalInference, TooWideIsAnOutcome) {
  base::Rng rng(15);
  const Network n = random_network(rng, 12, 3, 4);
  ExactLimits limits;
  limits.cells = 8;
  const Answer answer = ask(n, {{11}, {}, {}}, limits).value();
  EXPECT_EQ(answer.outcome, QueryOutcome::kTooWide);
  EXPECT_TRUE(answer.probability.empty());
  EXPECT_TRUE(JunctionTree::make(n).posteriors({}, limits).value().too_wide);
  EXPECT_TRUE(marginals(n, {}, limits).value().too_wide);
  std::vector<int> all;
  for (int v = 0; v < 12; ++v) all.push_back(v);  // at least 2^12 joint states
  Assignments seen;
  for (int v = 0; v < 11; ++v) seen.push_back({v, 0});
  limits.cells = 1000;
  EXPECT_EQ(ask(n, {all, seen, {}}, limits).value().outcome, QueryOutcome::kTooWide);
  EXPECT_THAT(sample(n, {all, {}, {}}, {}, rng).error().text(), HasSubstr("ask about fewer targets"));
}

TEST(CausalInference, RefusesTargetsThatMakeNoSense) {
  base::Rng rng(16);
  const Network n = random_network(rng, 4);
  EXPECT_THAT(ask(n, {{}, {}, {}}).error().text(), HasSubstr("no target"));
  EXPECT_THAT(ask(n, {{1, 1}, {}, {}}).error().text(), HasSubstr("'v1' is given twice"));
  EXPECT_THAT(ask(n, {{1}, {}, {{0, 0}, {0, 1}}}).error().text(), HasSubstr("'v0' is set twice"));
  ExactLimits stopped;
  stopped.cancel = base::CancelToken::make();
  stopped.cancel.cancel();
  EXPECT_EQ(JunctionTree::make(n).posteriors({}, stopped).error().code, base::Code::kCancelled);
}

TEST(CausalSamplingStatistical, BoundsOfLikelihoodWeightingCover) {
  // 400 networks with evidence: one cell each, 95 % bounds. Clopper–Pearson at an effective size is conservative, so
  // one-sided: a true coverage of 0.90 slips through with probability 0.03.
  const int floor = plumbline::testing::binomial_floor(400, 0.95);
  const int hits = plumbline::testing::count_seeds(400, [](base::Rng& rng) {
    const Network n = random_network(rng, 6);
    const Assignments evidence = random_evidence(n, rng, 2);
    const int target = static_cast<int>(rng.below(6));
    SampleOptions options;
    options.samples = 2000;
    const Answer got = sample(n, {{target}, evidence, {}}, options, rng).value();
    if (got.outcome != QueryOutcome::kAnswered) return true;
    const double truth = enumerated(n, target, evidence)[0];
    return *got.estimates[0].low() <= truth && truth <= *got.estimates[0].high();
  });
  EXPECT_GE(hits, floor);
}

TEST(CausalSampling, GivesTheSameBitsAndSaysWhatItCannot) {
  base::Rng rng(17);
  const Network n = random_network(rng, 8);
  SampleOptions options;
  options.samples = 20000;
  const Query query{{7}, {}, {{0, 1}}};
  const Answer one = sample(n, query, options, base::Rng(1)).value();
  EXPECT_EQ(one.probability, sample(n, query, options, base::Rng(1)).value().probability);
  EXPECT_NE(one.probability, sample(n, query, options, base::Rng(2)).value().probability);
  expect_near(one.probability, ask(n, query).value().probability, 0.02);
  // Evidence that no sample meets.
  const Network sure =
      Network::make("sure", {{"a", {"x", "y"}}, {"b", {"x", "y"}}}, {{{}, {1 - 1e-12, 1e-12}}, {{0}, {1, 0, 0, 1}}})
          .value();
  const Answer rare = sample(sure, {{0}, {{1, 1}}, {}}, options, base::Rng(1)).value();
  EXPECT_EQ(rare.outcome, QueryOutcome::kTooRare);
  EXPECT_TRUE(rare.probability.empty());
  EXPECT_NEAR(ask(sure, {{0}, {{1, 1}}, {}}).value().probability[1], 1, kTight);
  options.samples = 10;
  EXPECT_THAT(sample(n, query, options, base::Rng(1)).error().text(), HasSubstr("samples"));
}

TEST(CausalSampling, MarginalsCountAllVariablesInTheSameSamples) {
  base::Rng rng(19);
  const Network n = random_network(rng, 7);
  const Assignments evidence = {{3, 0}};
  SampleOptions options;
  options.samples = 20000;
  const SampledMarginals all = sample_marginals(n, evidence, options, base::Rng(1)).value();
  ASSERT_EQ(all.of.size(), n.size());
  for (int v = 0; v < 7; ++v) {
    // The same draws as a query for that variable alone, and the exact figure within bounds that it leaves once in
    // 10,000.
    const Answer one = sample(n, {{v}, evidence, {}}, options, base::Rng(1)).value();
    const std::vector<double> truth = enumerated(n, v, evidence);
    for (std::size_t k = 0; k < truth.size(); ++k) {
      const stats::Estimate& figure = all.of[static_cast<std::size_t>(v)][k];
      EXPECT_EQ(figure.value, one.probability[k]);
      EXPECT_LE(*figure.bounds.lower.back(), truth[k] + 1e-12);
      EXPECT_GE(*figure.bounds.upper.back(), truth[k] - 1e-12);
    }
  }
  const Network sure =
      Network::make("sure", {{"a", {"x", "y"}}, {"b", {"x", "y"}}}, {{{}, {1 - 1e-12, 1e-12}}, {{0}, {1, 0, 0, 1}}})
          .value();
  EXPECT_EQ(sample_marginals(sure, {{1, 1}}, options, base::Rng(1)).value().outcome, QueryOutcome::kTooRare);
  options.samples = 10;
  EXPECT_THAT(sample_marginals(n, evidence, options, base::Rng(1)).error().text(), HasSubstr("samples"));
}

class PublicNetworks : public ::testing::TestWithParam<const char*> {};

/// Every prior and every posterior that is stored beside the networks, by both exact methods, to 1e-9.
TEST_P(PublicNetworks, MarginalsEqualThoseOfIndependentEngines) {
  const std::string name = GetParam();
  PL_NEEDS_DATA(path, "causal/bayesnets/" + name + ".bif");
  PL_NEEDS_DATA(csv, "causal/bayesnets/" + name + ".marginals.csv");
  const Network n = read_bif(path).value();
  data::TableOptions options;
  for (const char* column : {"variable", "state", "evidence"}) options.types[column] = data::Column::Kind::kText;
  options.missing = {};
  const data::Table table = data::read_csv(csv, options).value();
  std::map<std::string, Posteriors> by_evidence;
  std::map<std::string, std::map<int, std::vector<double>>> asked;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string evidence = table.find("evidence")->texts[i];
    Assignments seen;
    for (std::size_t first = 0; first < evidence.size();) {
      const std::size_t end = std::min(evidence.find(';', first), evidence.size());
      seen.push_back(n.assignment(evidence.substr(first, end - first)).value());
      first = end + 1;
    }
    if (!by_evidence.contains(evidence)) by_evidence.emplace(evidence, marginals(n, seen).value());
    const int v = n.index(table.find("variable")->texts[i]).value();
    const auto state = static_cast<std::size_t>(n.state_index(v, table.find("state")->texts[i]).value());
    if (!asked[evidence].contains(v)) asked[evidence][v] = ask(n, {{v}, seen, {}}).value().probability;
    const double want = table.find("probability")->numbers[i];
    ASSERT_FALSE(by_evidence.at(evidence).impossible);
    EXPECT_NEAR(by_evidence.at(evidence).marginal[static_cast<std::size_t>(v)][state], want, 1e-9);
    EXPECT_NEAR(asked[evidence][v][state], want, 1e-9);
    ++compared;
  }
  EXPECT_GE(compared, 16U);
}

INSTANTIATE_TEST_SUITE_P(Causal, PublicNetworks,
                         ::testing::Values("asia", "cancer", "earthquake", "survey", "sachs", "child", "alarm",
                                           "insurance", "hailfinder", "win95pts", "water", "mildew"));

TEST(CausalInference, ImpossibleEvidenceOfWaterIsSaid) {
  PL_NEEDS_DATA(path, "causal/bayesnets/water.bif");
  const Network n = read_bif(path).value();
  const std::vector<std::string> words = {"CBODD_12_45=15_MG_L", "CBODN_12_45=5_MG_L", "CKND_12_45=2_MG_L"};
  const Assignments evidence = n.assignments(words).value();
  EXPECT_TRUE(JunctionTree::make(n).posteriors(evidence).value().impossible);
  const Answer answer = ask(n, {{0}, evidence, {}}).value();
  EXPECT_EQ(answer.outcome, QueryOutcome::kImpossible);
  EXPECT_THAT(answer.reason, HasSubstr("CBODD_12_45=15_MG_L"));
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
