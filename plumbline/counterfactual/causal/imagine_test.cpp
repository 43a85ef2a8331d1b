/// Counterfactuals against an enumeration of all response functions: for each variable what it would do under each
/// state of its parents, with its probability.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/imagine.hpp"
#include "plumbline/counterfactual/causal/test_support.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using ::testing::HasSubstr;

/// What a variable does for each row of its table, and how probable that is.
struct Response {
  double probability = 1;
  std::vector<int> state;
};

std::vector<Response> responses(const Network& n, int v, Noise noise) {
  const auto width = static_cast<std::size_t>(n.states(v));
  const std::vector<double>& table = n.mechanism(v).table;
  const std::size_t rows = table.size() / width;
  std::vector<Response> out;
  if (noise == Noise::kIndependent) {
    out.push_back({1, {}});
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<Response> longer;
      for (const Response& before : out)
        for (std::size_t k = 0; k < width; ++k) {
          if (table[r * width + k] == 0) continue;
          Response next = before;
          next.probability *= table[r * width + k];
          next.state.push_back(static_cast<int>(k));
          longer.push_back(std::move(next));
        }
      out = std::move(longer);
    }
    return out;
  }
  std::vector<double> cuts = {0, 1};
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::size_t k = 0; k + 1 < width; ++k) cuts.push_back(sum += table[r * width + k]);
  }
  std::sort(cuts.begin(), cuts.end());
  for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
    Response one{cuts[c + 1] - cuts[c], {}};
    if (one.probability < 1e-15) continue;
    const double middle = (cuts[c] + cuts[c + 1]) / 2;
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t k = 0;
      for (double sum = table[r * width]; k + 1 < width && sum <= middle; sum += table[r * width + k]) ++k;
      one.state.push_back(static_cast<int>(k));
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<int> run(const Network& n, const std::vector<const Response*>& noise, const Assignments& set) {
  std::vector<int> states(n.size(), 0);
  for (const int v : n.order()) {
    std::size_t row = 0;
    for (const int p : n.parents(v))
      row = row * static_cast<std::size_t>(n.states(p)) + static_cast<std::size_t>(states[static_cast<std::size_t>(p)]);
    states[static_cast<std::size_t>(v)] = noise[static_cast<std::size_t>(v)]->state[row];
    for (const Assignment& a : set)
      if (a.variable == v) states[static_cast<std::size_t>(v)] = a.state;
  }
  return states;
}

/// Calls visit(noise, probability) for every joint choice of responses.
void each_noise(const Network& n, Noise noise,
                const std::function<void(const std::vector<const Response*>&, double)>& visit) {
  std::vector<std::vector<Response>> all;
  for (int v = 0; v < static_cast<int>(n.size()); ++v) all.push_back(responses(n, v, noise));
  std::vector<std::size_t> at(n.size(), 0);
  while (true) {
    std::vector<const Response*> chosen;
    double p = 1;
    for (std::size_t v = 0; v < at.size(); ++v) {
      chosen.push_back(&all[v][at[v]]);
      p *= chosen.back()->probability;
    }
    visit(chosen, p);
    std::size_t k = at.size();
    while (k > 0) {
      --k;
      if (++at[k] < all[k].size()) break;
      at[k] = 0;
      if (k == 0) return;
    }
  }
}

std::vector<double> enumerated_counterfactual(const Network& n, const Query& query, Noise noise) {
  std::vector<double> out(static_cast<std::size_t>(n.states(query.targets[0])), 0.0);
  double sum = 0;
  each_noise(n, noise, [&](const std::vector<const Response*>& chosen, double p) {
    const std::vector<int> actual = run(n, chosen, {});
    for (const Assignment& a : query.evidence)
      if (actual[static_cast<std::size_t>(a.variable)] != a.state) return;
    const std::vector<int> imagined = run(n, chosen, query.interventions);
    out[static_cast<std::size_t>(imagined[static_cast<std::size_t>(query.targets[0])])] += p;
    sum += p;
  });
  if (sum == 0) return {};
  for (double& p : out) p /= sum;
  return out;
}

TEST(CausalImagine, TwinNetworksEqualEnumerationOfNoise) {
  base::Rng rng(21);
  int impossible = 0;
  for (int trial = 0; trial < 120; ++trial) {
    const Network n = testing::random_network(rng, 4, 2, 2, trial % 4 == 0 ? 0.3 : 0);
    const Query query{
        {static_cast<int>(rng.below(4))}, testing::random_evidence(n, rng, 3), testing::random_evidence(n, rng, 2)};
    for (const Noise noise : {Noise::kQuantile, Noise::kIndependent}) {
      const std::vector<double> want = enumerated_counterfactual(n, query, noise);
      const Answer got = imagine(n, query, noise).value();
      ASSERT_EQ(got.outcome == QueryOutcome::kImpossible, want.empty());
      impossible += want.empty() ? 1 : 0;
      for (std::size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got.probability[k], want[k], 1e-12);
    }
  }
  EXPECT_GT(impossible, 0);
  for (int trial = 0; trial < 40; ++trial) {
    const Network n = testing::random_network(rng, 3, 4, 2);
    const Query query{{2}, {{2, static_cast<int>(rng.below(static_cast<std::uint64_t>(n.states(2))))}}, {{0, 1}}};
    const std::vector<double> want = enumerated_counterfactual(n, query, Noise::kQuantile);
    const Answer got = imagine(n, query, Noise::kQuantile).value();
    for (std::size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got.probability[k], want[k], 1e-12);
  }
}

TEST(CausalImagine, StatedNoiseNeedsNoCoupling) {
  // y = x xor u, u a variable of its own: having seen x and y, u is known.
  const Network n = Network::make("xor", {{"u", {"0", "1"}}, {"x", {"0", "1"}}, {"y", {"0", "1"}}},
                                  {{{}, {0.7, 0.3}}, {{}, {0.5, 0.5}}, {{0, 1}, {1, 0, 0, 1, 0, 1, 1, 0}}})
                        .value();
  const Answer got = imagine(n, {{2}, {{1, 1}, {2, 0}}, {{1, 0}}}, Noise::kStated).value();
  EXPECT_NEAR(got.probability[1], 1, 1e-12);
  // do alone would say 0.3.
  EXPECT_NEAR(ask(n, {{2}, {}, {{1, 0}}}).value().probability[1], 0.3, 1e-12);
}

TEST(CausalImagine, ChanceThatIsNotStatedIsAnError) {
  const Network n =
      Network::make("chance", {{"x", {"0", "1"}}, {"y", {"0", "1"}}}, {{{}, {0.5, 0.5}}, {{0}, {0.9, 0.1, 0.2, 0.8}}})
          .value();
  EXPECT_THAT(imagine(n, {{1}, {{1, 1}}, {{0, 0}}}, Noise::kStated).error().text(),
              HasSubstr("the noise of 'y' is not stated"));
  EXPECT_THAT(imagine(n, {{1}, {{1, 1}}, {{0, 0}, {0, 1}}}, Noise::kQuantile).error().text(), HasSubstr("set twice"));
  EXPECT_THAT(parse_noise("white").error().text(), HasSubstr("stated, quantile or independent"));
  ExactLimits few;
  few.cells = 4;
  EXPECT_EQ(imagine(n, {{1}, {{1, 1}}, {{0, 0}}}, Noise::kIndependent, few).value().outcome, QueryOutcome::kTooWide);
}

TEST(CausalImagine, ConsistencyAndNoEvidence) {
  // What was done anyway changes nothing; without evidence imagining is doing.
  base::Rng rng(22);
  for (int trial = 0; trial < 60; ++trial) {
    const Network n = testing::random_network(rng, 6, 3, 2);
    const auto noise = trial % 2 == 0 ? Noise::kQuantile : Noise::kIndependent;
    const Assignments set = {{static_cast<int>(rng.below(6)), 0}};
    const int target = static_cast<int>(rng.below(6));
    const Answer same = imagine(n, {{target}, set, set}, noise).value();
    const Answer seen = ask(n, {{target}, set, {}}).value();
    const Answer alone = imagine(n, {{target}, {}, set}, noise).value();
    const Answer done = ask(n, {{target}, {}, set}).value();
    for (std::size_t k = 0; k < seen.probability.size(); ++k) {
      EXPECT_NEAR(same.probability[k], seen.probability[k], 1e-12);
      EXPECT_NEAR(alone.probability[k], done.probability[k], 1e-12);
    }
  }
}

TEST(CausalImagine, MonotoneNecessityEqualsItsClosedForm) {
  // Tian and Pearl 2000: under monotonicity without confounding PN = (P(y|x) - P(y|x')) / P(y|x).
  const Network n =
      Network::make("pn", {{"x", {"no", "yes"}}, {"y", {"no", "yes"}}}, {{{}, {0.6, 0.4}}, {{0}, {0.8, 0.2, 0.3, 0.7}}})
          .value();
  const Answer got = imagine(n, {{1}, {{0, 1}, {1, 1}}, {{0, 0}}}, Noise::kQuantile).value();
  EXPECT_NEAR(got.probability[0], (0.7 - 0.2) / 0.7, 1e-12);
}

TEST(CausalMediation, EqualsNestedEnumeration) {
  base::Rng rng(23);
  int direct = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const Network n = testing::random_network(rng, 4, 2, 3);
    const std::vector<int> start = {0};
    if (!n.descendants(start)[3]) continue;
    const Mediation got = mediate(n, 0, 0, 1, 3).value();
    direct += got.direct_edge ? 1 : 0;
    // Y(to, everything else as under do(from)), and the reverse.
    const auto nested = [&](int seen, int between) {
      double p1 = 0;
      each_noise(n, Noise::kIndependent, [&](const std::vector<const Response*>& chosen, double p) {
        const std::vector<int> world = run(n, chosen, {{0, between}});
        std::size_t row = 0;
        for (const int q : n.parents(3))
          row = row * 2 + static_cast<std::size_t>(q == 0 ? seen : world[static_cast<std::size_t>(q)]);
        if (chosen[3]->state[row] == 1) p1 += p;
      });
      return p1;
    };
    EXPECT_NEAR(got.direct[1], nested(1, 0), 1e-12);
    EXPECT_NEAR(got.indirect[1], nested(0, 1), 1e-12);
    EXPECT_NEAR(got.before[1], nested(0, 0), 1e-12);
    EXPECT_NEAR(got.after[1], nested(1, 1), 1e-12);
    const Mediation back = mediate(n, 0, 1, 0, 3).value();
    EXPECT_NEAR(got.total[1], got.natural_direct[1] - back.natural_indirect[1], 1e-12);
    if (!got.direct_edge) {
      EXPECT_NEAR(got.natural_direct[1], 0, 1e-12);
    }
  }
  EXPECT_GT(direct, 5);
}

TEST(CausalMediation, RefusesWhatMakesNoSense) {
  const Network n = Network::make("pair", {{"x", {"0", "1"}}, {"y", {"0", "1"}}, {"z", {"0", "1"}}},
                                  {{{}, {0.5, 0.5}}, {{0}, {0.9, 0.1, 0.2, 0.8}}, {{}, {0.5, 0.5}}})
                        .value();
  EXPECT_THAT(mediate(n, 0, 0, 1, 0).error().text(), HasSubstr("is treatment and outcome"));
  EXPECT_THAT(mediate(n, 0, 1, 1, 1).error().text(), HasSubstr("to the same state"));
  EXPECT_THAT(mediate(n, 0, 0, 1, 2).error().text(), HasSubstr("has no effect on 'z'"));
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
