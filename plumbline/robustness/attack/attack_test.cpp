// Attacks against closed forms, bounds and each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/attack/margin_curve.hpp"
#include "plumbline/robustness/attack/planted_witness.hpp"
#include "plumbline/robustness/attack/select.hpp"
#include "plumbline/robustness/attack/suite.hpp"
#include "plumbline/robustness/proof/bounds.hpp"
#include "plumbline/robustness/proof/vnnlib.hpp"
#include "tests/support/networks.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<Norm, 3> kNorms = {Norm::kLinf, Norm::kL2, Norm::kL1};

Network network(const std::vector<std::int64_t>& sizes, const std::string& activation, base::Rng& rng) {
  auto lowered = lower(testing::dense_graph(sizes, activation, rng));
  EXPECT_TRUE(lowered.ok());
  return std::move(lowered).value();
}

Threat threat(std::size_t n, Norm norm, double epsilon, double low = -kInfinity, double high = kInfinity) {
  return {.norm = norm,
          .epsilon = epsilon,
          .low = std::vector<double>(n, low),
          .high = std::vector<double>(n, high),
          .shape = {1, 1, n, false}};
}

/// Examples drawn at random, labelled by the network itself.
struct Examples {
  std::vector<std::vector<double>> x;
  std::vector<AttackCase> cases;
};

Examples examples(const Network& net, std::size_t count, base::Rng& rng, double low = -1, double high = 1) {
  Examples out;
  for (std::size_t i = 0; i < count; ++i) {
    out.x.emplace_back(net.inputs());
    for (double& v : out.x.back()) v = rng.uniform(low, high);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto y = forward(net, out.x[i], 1).back();
    out.cases.push_back({out.x[i], static_cast<int>(std::max_element(y.begin(), y.end()) - y.begin()), i});
  }
  return out;
}

// Regions -----------------------------------------------------------------------------------------------------------

Region random_region(Norm norm, std::size_t n, base::Rng& rng) {
  Region region{.norm = norm, .centre = {}, .epsilon = rng.uniform(0.1, 1.5), .low = {}, .high = {}, .unit = {}};
  for (std::size_t i = 0; i < n; ++i) {
    region.centre.push_back(rng.uniform(0, 1));
    region.low.push_back(rng.bernoulli(0.3) ? region.centre[i] : 0);
    region.high.push_back(rng.bernoulli(0.2) ? kInfinity : 1);
  }
  return region;
}

// z is the nearest point of a convex set to p exactly when (p - z) . (y - z) <= 0 for every y of the set.
TEST(Region, ProjectionIsTheNearestPoint) {
  base::Rng rng(1, {"project"});
  for (int trial = 0; trial < 300; ++trial) {
    const Region region = random_region(kNorms[static_cast<std::size_t>(trial % 3)], 1 + rng.below(12), rng);
    std::vector<double> p(region.size());
    for (double& v : p) v = rng.normal(0.5, 1.5);
    std::vector<double> z = p;
    project(region, z);
    EXPECT_LE(distance(region.norm, z, region.centre), region.epsilon * (1 + 1e-12));
    for (std::size_t i = 0; i < z.size(); ++i) {
      EXPECT_GE(z[i], region.low[i]);
      EXPECT_LE(z[i], region.high[i]);
    }
    for (int other = 0; other < 30; ++other) {
      std::vector<double> y(region.size());
      uniform_in(region, rng, y);
      EXPECT_LE(distance(region.norm, y, region.centre), region.epsilon * (1 + 1e-12));
      double inner = 0;
      for (std::size_t i = 0; i < z.size(); ++i) inner += (p[i] - z[i]) * (y[i] - z[i]);
      EXPECT_LE(inner, 1e-9) << norm_name(region.norm);
    }
    std::vector<double> again = z;
    project(region, again);
    for (std::size_t i = 0; i < z.size(); ++i) EXPECT_NEAR(again[i], z[i], 1e-11);
  }
}

TEST(Region, UniformPointsFillTheBall) {
  base::Rng rng(2, {"uniform"});
  constexpr int kDraws = 4000;
  for (const Norm norm : kNorms) {
    const Region region{
        .norm = norm, .centre = {0, 0, 0}, .epsilon = 2, .low = {-9, -9, -9}, .high = {9, 9, 9}, .unit = {}};
    int near = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      std::vector<double> x(3);
      uniform_in(region, rng, x);
      near += norm_of(norm, x) <= 1 ? 1 : 0;  // an eighth of the volume
    }
    EXPECT_TRUE(testing::binomial_band(kDraws, 0.125, 1e-4).contains(near)) << norm_name(norm) << " " << near;
  }
}

double dual(Norm norm, std::span<const double> g) {
  return norm_of(norm == Norm::kLinf ? Norm::kL1 : norm == Norm::kL1 ? Norm::kLinf : Norm::kL2, g);
}

TEST(Region, ShortestMoveToAPlane) {
  base::Rng rng(3, {"plane"});
  for (int trial = 0; trial < 200; ++trial) {
    const Norm norm = kNorms[static_cast<std::size_t>(trial % 3)];
    const std::size_t n = 1 + rng.below(10);
    std::vector<double> x(n), g(n), move(n);
    for (double& v : x) v = rng.uniform(0, 1);
    for (double& v : g) v = rng.bernoulli(0.2) ? 0 : rng.normal();
    const double change = rng.normal();
    const double size =
        reach_plane(norm, x, g, change, std::vector<double>(n, -kInfinity), std::vector<double>(n, kInfinity), move);
    const double reached = std::inner_product(g.begin(), g.end(), move.begin(), 0.0);
    if (dual(norm, g) > 0) {
      EXPECT_NEAR(size, std::abs(change) / dual(norm, g), 1e-9);
      EXPECT_NEAR(reached, change, 1e-9);
    }
    // In the box no random move of the same effect is shorter.
    const std::vector<double> low(n, 0.0), high(n, 1.0);
    const double boxed = reach_plane(norm, x, g, change, low, high, move);
    const double effect = std::inner_product(g.begin(), g.end(), move.begin(), 0.0);
    EXPECT_LE(std::abs(effect), std::abs(change) + 1e-9);
    const Region shorter{.norm = norm, .centre = x, .epsilon = boxed * 0.999, .low = low, .high = high, .unit = {}};
    for (int other = 0; other < 40 && boxed > 0; ++other) {
      std::vector<double> y(n);
      other % 2 == 0 ? uniform_in(shorter, rng, y) : far_along(shorter, move, rng, y);
      double value = 0;
      for (std::size_t i = 0; i < n; ++i) value += g[i] * (y[i] - x[i]);
      EXPECT_LT(value * (change > 0 ? 1 : -1), std::abs(effect)) << norm_name(norm);
    }
  }
}

TEST(Region, TheKthLargestIsThatOfASort) {
  base::Rng rng(30, {"select"});
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> values(1 + rng.below(60));
    for (double& v : values) v = rng.bernoulli(0.3) ? 0 : rng.normal() * std::pow(10.0, rng.uniform(-30, 3));
    if (trial % 5 == 0) values[0] = trial % 2 == 0 ? 1e300 : values.back();
    std::vector<double> sizes;
    for (const double v : values) sizes.push_back(std::abs(v));
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    for (std::size_t k = 1; k <= values.size(); ++k) EXPECT_EQ(kth_largest_size(values, k), sizes[k - 1]);
  }
}

// Derivatives -------------------------------------------------------------------------------------------------------

TEST(Loss, DerivativesAgreeWithDifferences) {
  base::Rng rng(4, {"loss"});
  for (const Loss loss : {Loss::kMargin, Loss::kCrossEntropy, Loss::kDlr}) {
    for (int trial = 0; trial < 60; ++trial) {
      const std::size_t k = 2 + rng.below(6);
      std::vector<double> z(k), seeds(k), unused(k);
      for (double& v : z) v = rng.normal();
      const int label = static_cast<int>(rng.below(k));
      int target = trial % 2 == 0 ? -1 : static_cast<int>(rng.below(k));
      if (target == label) target = (label + 1) % static_cast<int>(k);
      (void)loss_at(loss, z, label, target, seeds);
      for (std::size_t j = 0; j < k; ++j) {
        std::vector<double> up = z, down = z;
        up[j] += 1e-6;
        down[j] -= 1e-6;
        const double slope =
            (loss_at(loss, up, label, target, unused) - loss_at(loss, down, label, target, unused)) / 2e-6;
        EXPECT_NEAR(seeds[j], slope, 1e-4 * std::max(1.0, std::abs(slope))) << loss_name(loss);
      }
    }
  }
}

TEST(Loss, TheRatioForgetsTheScaleAndNoNumberIsNoSuccess) {
  const std::vector<double> z = {1, 3, 2, -1};
  std::vector<double> big = z, seeds(4);
  for (double& v : big) v *= 1e6;
  EXPECT_NEAR(loss_at(Loss::kDlr, z, 1, -1, seeds), loss_at(Loss::kDlr, big, 1, -1, seeds), 1e-12);
  EXPECT_EQ(class_margin(z, 1), 1);
  EXPECT_EQ(class_margin(std::vector<double>{0, std::nan("")}, 0), kInfinity);
}

TEST(Target, GradientsAgreeWithDifferencesAndSoftmaxIsLeftOut) {
  base::Rng rng(5, {"target"});
  graph::Graph graph = testing::dense_graph({5, 9, 4}, "Tanh", rng);
  const Network plain = *lower(graph);
  graph.nodes.push_back({"soft", "Softmax", {graph.outputs[0].name}, {"p"}, {{"axis", std::int64_t{1}}}});
  graph.outputs[0].name = "p";
  EXPECT_FALSE(lower(graph).ok());
  const Network net = *lower_classifier(graph);
  const std::vector<double> shift = {0.1, 0.2, 0.3, 0.4, 0.5};
  const std::vector<double> scale = {1, 2, 0.5, 3, 0.25};
  const NetworkTarget target(net, shift, scale);
  std::vector<double> x(5), seeds(4);
  for (double& v : x) v = rng.normal();
  for (double& v : seeds) v = rng.normal();
  const Pass pass = *target.forward(x, 1, {});
  std::vector<double> inner = x;
  for (std::size_t i = 0; i < 5; ++i) inner[i] = (x[i] - shift[i]) / scale[i];
  EXPECT_EQ(pass.scores, forward(plain, inner, 1).back());
  const std::vector<double> gradient = *target.backward(pass, seeds);
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<double> up = x, down = x;
    up[i] += 1e-6;
    down[i] -= 1e-6;
    const auto a = target.forward(up, 1, {})->scores;
    const auto b = target.forward(down, 1, {})->scores;
    double slope = 0;
    for (std::size_t j = 0; j < 4; ++j) slope += seeds[j] * (a[j] - b[j]) / 2e-6;
    EXPECT_NEAR(gradient[i], slope, 1e-6 * std::max(1.0, std::abs(slope)));
  }
}

// Linear classifiers: everything is known
// ------------------------------------------------------------------------------

/// The distance to the nearest other class.
double exact_distance(const Network& net, const AttackCase& example, Norm norm) {
  const Affine& a = net.steps.back().affine;
  const auto z = forward(net, example.x, 1).back();
  const auto y = static_cast<std::size_t>(example.label);
  double best = kInfinity;
  for (std::size_t j = 0; j < a.rows; ++j) {
    if (j == y) continue;
    std::vector<double> g(a.columns);
    for (std::size_t i = 0; i < a.columns; ++i) g[i] = a.weights[y * a.columns + i] - a.weights[j * a.columns + i];
    best = std::min(best, (z[y] - z[j]) / dual(norm, g));
  }
  return best;
}

TEST(MinimalAttacks, LinearClassifiersHaveKnownDistances) {
  base::Rng rng(6, {"linear"});
  const Network net = network({12, 5}, "Relu", rng);
  const Examples some = examples(net, 12, rng);
  const NetworkTarget target(net);
  for (const Norm norm : kNorms) {
    const Threat t = threat(12, norm, 1);
    const AttackSetting setting{.target = &target, .threat = &t};
    const auto check = [&](const Attack& attack, double factor) {
      const auto outcomes = attack.run(setting, some.cases, base::Rng(7));
      ASSERT_TRUE(outcomes.ok()) << outcomes.error().text();
      for (std::size_t c = 0; c < some.cases.size(); ++c) {
        const double exact = exact_distance(net, some.cases[c], norm);
        EXPECT_GE((*outcomes)[c].size, exact * (1 - 1e-9)) << attack.name << " " << norm_name(norm);
        EXPECT_LE((*outcomes)[c].size, exact * factor + 1e-9) << attack.name << " " << norm_name(norm);
      }
    };
    check(fab(40, 4), 1.001);
    check(deepfool(), 1.03);
    if (norm == Norm::kL2) check(carlini_wagner(8, 200, 0.05), 1.05);
  }
}

TEST(MinimalAttacks, DecisionsAloneComeNear) {
  base::Rng rng(6, {"decisions"});
  const Network net = network({12, 2}, "Relu", rng);
  const Examples some = examples(net, 6, rng);
  const NetworkTarget target(net);
  for (const Norm norm : {Norm::kLinf, Norm::kL2}) {
    const Threat t = threat(12, norm, 1);
    for (const Attack& attack : {hop_skip_jump(2000), boundary(2000)}) {
      const auto outcomes = attack.run({.target = &target, .threat = &t}, some.cases, base::Rng(7));
      ASSERT_TRUE(outcomes.ok()) << outcomes.error().text();
      for (std::size_t c = 0; c < some.cases.size(); ++c) {
        const double exact = exact_distance(net, some.cases[c], norm);
        EXPECT_GE((*outcomes)[c].size, exact * (1 - 1e-9)) << attack.name;
        // The walk on the boundary shortens the Euclidean way, whatever the norm.
        const double factor = norm == Norm::kL2 ? 1.1 : attack.name == "boundary" ? 4 : 1.5;
        EXPECT_LE((*outcomes)[c].size, exact * factor) << attack.name << " " << norm_name(norm);
        EXPECT_LE((*outcomes)[c].queries, 2001U);
      }
    }
  }
}

TEST(Attacks, FindWhatIsThereAndNothingElse) {
  base::Rng rng(8, {"fixed"});
  const Network net = network({16, 2}, "Relu", rng);  // two classes: one boundary, no wrong turn
  const Examples some = examples(net, 6, rng);
  const NetworkTarget target(net);
  for (const Norm norm : kNorms) {
    for (const std::string& name : attack_names()) {
      if (norm == Norm::kL1 && name == "square") continue;
      const Attack attack = *attack_by_name(name);
      int found = 0;
      for (const AttackCase& example : some.cases) {
        const double exact = exact_distance(net, example, norm);
        for (const double factor : {0.99, 1.25}) {
          const Threat t = threat(16, norm, factor * exact);
          const auto outcome = attack.run({.target = &target, .threat = &t}, std::span(&example, 1), base::Rng(9));
          ASSERT_TRUE(outcome.ok()) << outcome.error().text();
          if (factor < 1) {
            EXPECT_FALSE((*outcome)[0].found) << name;
            EXPECT_GT((*outcome)[0].margin, 0) << name;
          } else {
            found += (*outcome)[0].found ? 1 : 0;
          }
          if ((*outcome)[0].found) {
            EXPECT_LE(distance(norm, (*outcome)[0].x, example.x), t.epsilon * (1 + kSizeSlack));
            EXPECT_LT(class_margin(forward(net, (*outcome)[0].x, 1).back(), example.label), 0);
          }
        }
      }
      // A linear classifier hides nothing.
      const bool other_norm = name == "cw" && norm != Norm::kL2;
      if (attack.needs_gradient() && !other_norm && !(name == "fgsm" && norm == Norm::kL1)) {
        EXPECT_EQ(found, 6) << name << " " << norm_name(norm);
      }
      if (attack.kind == AttackKind::kScores && norm != Norm::kL1) {
        EXPECT_GE(found, 4) << name << " " << norm_name(norm);
      }
    }
  }
}

// Certified balls: no attack of any kind may enter one.
TEST(Attacks, NeverCrossAProvenBound) {
  base::Rng rng(10, {"proved"});
  std::size_t proved = 0;
  for (int trial = 0; trial < 2; ++trial) {
    const Network net = network({8, 14, 14, 3}, trial % 2 == 0 ? "Relu" : "Tanh", rng);
    const Bounder bounder(net);
    const Examples some = examples(net, 8, rng);
    const NetworkTarget target(net);
    std::vector<double> radius;
    for (const AttackCase& example : some.cases) {
      double certified = 0;
      for (const double epsilon : {0.01, 0.02, 0.05, 0.1, 0.2}) {
        Box box{{example.x.begin(), example.x.end()}, {example.x.begin(), example.x.end()}};
        for (double& v : box.lower) v -= epsilon;
        for (double& v : box.upper) v += epsilon;
        LinearRows rows{.count = 0, .output = {}, .input = {}, .constant = {}};
        for (std::size_t j = 0; j < 3; ++j) {
          if (static_cast<int>(j) == example.label) continue;
          rows.output.resize(rows.output.size() + 3, 0.0);
          rows.output[rows.count * 3 + static_cast<std::size_t>(example.label)] = 1;
          rows.output[rows.count * 3 + j] = -1;
          rows.constant.push_back(0);
          ++rows.count;
        }
        const auto lower = bounder.minimise(*bounder.bound(box), rows, {}).lower;
        if (*std::min_element(lower.begin(), lower.end()) > 0) certified = epsilon;
      }
      radius.push_back(certified);
      proved += certified > 0 ? 1 : 0;
    }
    // Balls of L2 and L1 lie in that of Linf.
    for (const Norm norm : kNorms) {
      const Threat t = threat(8, norm, 0.2);
      std::vector<Attack> attacks;
      for (const std::string& name : attack_names()) attacks.push_back(*attack_by_name(name));
      attacks.erase(std::remove_if(attacks.begin(), attacks.end(),
                                   [](const Attack& a) { return a.name == "cw" || a.name == "diversified"; }),
                    attacks.end());
      std::vector<ExampleRecord> records;
      ASSERT_TRUE(
          run_suite({.target = &target, .threat = &t}, some.cases, attacks, 1, {.every_attack = trial == 0}, records)
              .ok());
      std::vector<double> attacked;
      for (const ExampleRecord& record : records) attacked.push_back(record.size);
      EXPECT_THAT(*crossings(attacked, radius), ::testing::IsEmpty()) << norm_name(norm);
    }
  }
  EXPECT_GT(proved, 8U);
}

TEST(Attacks, RefuseWhatDoesNotFit) {
  base::Rng rng(11, {"bad"});
  const Network net = network({3, 2}, "Relu", rng);
  const NetworkTarget target(net);
  const std::vector<double> x = {0.5, 0.5, 2};
  const AttackCase example{x, 0, 0};
  const auto why = [&](const Threat& t, const AttackCase& c) {
    const auto outcome = pgd().run({.target = &target, .threat = &t}, std::span(&c, 1), base::Rng(1));
    return outcome.ok() ? std::string() : outcome.error().text();
  };
  EXPECT_THAT(why(threat(3, Norm::kL2, 0), example), HasSubstr("epsilon"));
  EXPECT_THAT(why(threat(2, Norm::kL2, 1), example), HasSubstr("low"));
  EXPECT_THAT(why(threat(3, Norm::kL2, 1, 0, 1), example), HasSubstr("outside the declared range"));
  EXPECT_THAT(why(threat(3, Norm::kL2, 1, 2, 1), example), HasSubstr("has the range [2, 1]"));
  EXPECT_THAT(why(threat(3, Norm::kL2, 1), {x, 2, 0}), HasSubstr("label"));
  EXPECT_THAT(why(threat(3, Norm::kL2, 1), {std::span(x).first(2), 0, 0}), HasSubstr("example"));
  EXPECT_THAT(attack_by_name("deepfol").error().text(), HasSubstr("did you mean 'deepfool'?"));
  EXPECT_THAT(attack_by_name("zzzzzzzzzz").error().text(), HasSubstr("hopskipjump"));
  EXPECT_THAT(parse_norm("l3").error().text(), HasSubstr("expected linf, l2 or l1"));
}

// The suite ---------------------------------------------------------------------------------------------------------

std::vector<Attack> quick_suite() {
  return {random_noise(20), fgsm(), pgd({.steps = 10}), apgd({.steps = 20}), square(60)};
}

TEST(Suite, TheSameBitsForThreadsBlocksAndInterruptions) {
  base::Rng rng(12, {"suite"});
  const Network net = network({10, 20, 4}, "Relu", rng);
  const Examples some = examples(net, 30, rng, 0, 1);
  const NetworkTarget target(net);
  const Threat t = threat(10, Norm::kLinf, 0.15, 0, 1);
  const AttackSetting setting{.target = &target, .threat = &t};
  std::vector<ExampleRecord> whole;
  ASSERT_TRUE(run_suite(setting, some.cases, quick_suite(), 5, {}, whole).ok());
  const std::string text = write_records(whole);

  base::set_threads(1);
  std::vector<ExampleRecord> one;
  ASSERT_TRUE(run_suite(setting, some.cases, quick_suite(), 5, {}, one).ok());
  base::set_threads(0);
  EXPECT_EQ(write_records(one), text);

  std::vector<Attack> alone = quick_suite();
  for (Attack& attack : alone) attack.at_a_time = 7;
  std::vector<ExampleRecord> cut;
  ASSERT_TRUE(run_suite(setting, some.cases, alone, 5, {}, cut).ok());
  EXPECT_EQ(write_records(cut), text);

  // Stopped after two attacks and in the middle of the third, written, read back, taken up.
  std::vector<ExampleRecord> part;
  ASSERT_TRUE(run_suite(setting, some.cases, std::span(alone).first(2), 5, {}, part).ok());
  int calls = 0;
  AttackSetting stopped = setting;
  stopped.cancel = base::CancelToken::make();
  alone[2].run = [&](const AttackSetting& s, std::span<const AttackCase> c, const base::Rng& r) {
    if (++calls == 2) stopped.cancel.cancel();
    return pgd({.steps = 10}).run(s, c, r);
  };
  base::set_threads(1);
  const base::Status status = run_suite(stopped, some.cases, alone, 5, {}, part);
  base::set_threads(0);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, base::Code::kCancelled);
  auto again = read_records(write_records(part));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(write_records(*again), write_records(part));
  ASSERT_TRUE(run_suite(setting, some.cases, quick_suite(), 5, {}, *again).ok());
  EXPECT_EQ(write_records(*again), text);

  EXPECT_THAT(read_records("[1]").error().text(), HasSubstr("not the records"));
  EXPECT_THAT(run_suite(setting, std::span(some.cases).first(3), quick_suite(), 5, {}, whole).error().text(),
              HasSubstr("other examples"));
}

TEST(Suite, LedgerCurveAndMinimum) {
  base::Rng rng(13, {"ledger"});
  const Network net = network({6, 12, 3}, "Relu", rng);
  Examples some = examples(net, 20, rng);
  some.cases[4].label = (some.cases[4].label + 1) % 3;  // wrong as it stands
  const NetworkTarget target(net);
  const Threat t = threat(6, Norm::kL2, 0.6);
  std::map<std::string, double> seconds;
  std::vector<ExampleRecord> records;
  ASSERT_TRUE(run_suite({.target = &target, .threat = &t}, some.cases, quick_suite(), 5,
                        {.every_attack = true, .seconds = &seconds}, records)
                  .ok());
  EXPECT_EQ(seconds.size(), 5U);  // the clock's share of the ledger: for people, never in the records
  EXPECT_EQ(records[4].size, 0);
  EXPECT_TRUE(records[4].attempts.empty());
  std::size_t fallen = 0;
  for (const ExampleRecord& record : records) {
    double least = kInfinity;
    for (const Attempt& attempt : record.attempts) least = std::min(least, attempt.size);
    if (record.clean()) {
      EXPECT_EQ(record.size, least);
    }
    fallen += record.clean() && record.fallen(0.6) ? 1 : 0;
  }
  const auto ledger = budget_ledger(records, quick_suite());
  ASSERT_EQ(ledger.size(), 5U);
  EXPECT_EQ(ledger[0].tried, 19U);
  EXPECT_EQ(ledger[0].gradients, 0U);
  EXPECT_GT(ledger[3].gradients, 0U);
  EXPECT_GE(ledger[3].found, ledger[1].found);
  const auto curve = budget_curve(records);
  EXPECT_EQ(curve.front().share, 0);
  for (std::size_t i = 1; i < curve.size(); ++i) {
    EXPECT_GT(curve[i].passes, curve[i - 1].passes);
    EXPECT_GT(curve[i].share, curve[i - 1].share);
  }
  EXPECT_NEAR(curve.back().share, static_cast<double>(fallen) / 19, 1e-12);
}

TEST(MarginCurve, CountsRadiiAndFindsCrossings) {
  const RadiusSeries attacked{"attacked", CurveSide::kAttacked, {0, 0.1, 0.2, kInfinity}};
  const RadiusSeries certified{"certified", CurveSide::kCertified, {-1, 0.1, 0.1, 0.3}};
  const std::vector<double> epsilons = {0, 0.1, 0.2, 0.3, 0.4};
  const auto upper = *accuracy_curve(attacked, epsilons);
  const auto lower = *accuracy_curve(certified, epsilons);
  const std::vector<double> want_upper = {0.75, 0.5, 0.25, 0.25, 0.25};
  const std::vector<double> want_lower = {0.75, 0.75, 0.25, 0.25, 0};
  for (std::size_t i = 0; i < epsilons.size(); ++i) {
    EXPECT_EQ(upper[i].accuracy.value, want_upper[i]);
    EXPECT_EQ(lower[i].accuracy.value, want_lower[i]);
  }
  EXPECT_THAT(*crossings(attacked.radius, certified.radius), ::testing::ElementsAre(1U));
  EXPECT_FALSE(accuracy_curve({"", CurveSide::kAttacked, {}}, epsilons).ok());
  EXPECT_THAT(accuracy_curve({"", CurveSide::kAttacked, {std::nan("")}}, epsilons).error().text(), HasSubstr("NaN"));
  EXPECT_THAT(accuracy_curve(attacked, std::vector<double>{-1}).error().text(), HasSubstr("below 0"));
  EXPECT_FALSE(crossings(attacked.radius, std::vector<double>{1}).ok());
}

// The attack unit test ------------------------------------------------------------------------------------------------

TEST(PlantedWitness, GradientsFindItBlindAttacksDoNot) {
  base::Rng rng(14, {"witness"});
  const Network net = network({20, 30, 30, 4}, "Relu", rng);
  const Examples some = examples(net, 12, rng);
  const NetworkTarget target(net);
  const Network bare = features_of(net);
  const NetworkTarget features(bare);
  EXPECT_EQ(features.classes(), 30U);
  const Threat t = threat(20, Norm::kLinf, 0.2);
  const AttackSetting setting{.target = &target, .threat = &t};
  std::vector<double> margins;
  for (const AttackCase& example : some.cases)
    margins.push_back(class_margin(forward(net, example.x, 1).back(), example.label));
  const std::vector<Attack> good = {apgd({.starts = 3}), diversified(50, 40)};
  const auto found = test_attacks(features, setting, some.cases, margins, good, 3);
  ASSERT_TRUE(found.ok()) << found.error().text();
  const WitnessVerdict verdict = judge_witnesses(*found);
  EXPECT_EQ(verdict.planted, 12U);
  EXPECT_GE(verdict.hard, 6U);
  EXPECT_TRUE(verdict.passed) << verdict.found << " of " << verdict.planted;

  // An attack that takes no step to speak of finds nothing, and is told so.
  const std::vector<Attack> lame = {pgd({.steps = 1, .first_step = 1e-6, .last_step = 1e-6, .random_start = false})};
  EXPECT_FALSE(judge_witnesses(*test_attacks(features, setting, some.cases, margins, lame, 3)).passed);
  EXPECT_FALSE(judge_witnesses({}).passed);
  // Easy witnesses count, but do not make up for hard ones that were missed.
  const auto one = [](bool is_planted, bool is_found, bool is_easy) {
    WitnessResult result;
    result.planted = is_planted;
    result.found = is_found;
    result.by_noise = is_easy;
    return result;
  };
  std::vector<WitnessResult> results(20, one(true, true, true));
  EXPECT_TRUE(judge_witnesses(results).passed);
  results.push_back(one(true, false, false));
  EXPECT_FALSE(judge_witnesses(results).passed);
  EXPECT_FALSE(judge_witnesses(std::vector<WitnessResult>(10, one(true, false, true))).passed);
  EXPECT_FALSE(judge_witnesses(std::vector<WitnessResult>(10, one(false, false, false))).passed);
}

// The competition's digits --------------------------------------------------------------------------------------------

struct Digits {
  Network network;
  std::vector<std::vector<double>> x;
  std::vector<AttackCase> cases;
};

/// The images of the specifications: the box is the ball cut to [0, 1].
Digits open_digits(const std::string& folder, const std::string& net, double epsilon) {
  Digits out;
  out.network = *lower(*graph::read_onnx(folder + "/onnx/mnist-net_" + net + ".onnx"));
  for (int p = 0; p < 15; ++p) {
    const Property property = *read_vnnlib(fmt::format("{}/vnnlib/prop_{}_{:.2f}.vnnlib", folder, p, epsilon));
    std::vector<double> x;
    for (std::size_t i = 0; i < property.inputs; ++i) {
      const double low = property.boxes[0].lower[i].nearest;
      x.push_back(std::clamp(low > 0 ? low + epsilon : property.boxes[0].upper[i].nearest - epsilon, 0.0, 1.0));
    }
    // y_label - y_j <= 0 in every case: the label is what has a positive factor.
    int label = 0;
    for (const auto& [j, a] : property.cases[0].atoms[0].y) label = a > 0 ? static_cast<int>(j) : label;
    out.x.push_back(std::move(x));
    out.cases.push_back({{}, label, static_cast<std::uint64_t>(p)});
  }
  for (std::size_t i = 0; i < out.x.size(); ++i) out.cases[i].x = out.x[i];
  return out;
}

// Table C2 of the standard suite on these networks: 2, 9, 1 and 5 counterexamples of 2, 10, 1 and 5 that exist.
TEST(AttackCompetition, AtLeastWhatTheStandardSuiteFinds) {
  PL_NEEDS_DATA(list, "vnncomp/mnistfc/instances.csv");
  const std::string folder = list.substr(0, list.rfind('/'));
  struct Known {
    std::string net;
    double epsilon;
    std::size_t standard_suite;  ///< found by AutoAttack's standard version
    std::size_t exist;
  };
  for (const Known& known : {Known{"256x2", 0.03, 2, 2}, Known{"256x2", 0.05, 9, 10}, Known{"256x4", 0.03, 1, 1},
                             Known{"256x4", 0.05, 5, 5}}) {
    const Digits digits = open_digits(folder, known.net, known.epsilon);
    const NetworkTarget target(digits.network);
    const Threat t{.norm = Norm::kLinf,
                   .epsilon = known.epsilon,
                   .low = std::vector<double>(784, 0.0),
                   .high = std::vector<double>(784, 1.0),
                   .shape = {1, 28, 28, false}};
    const std::vector<Attack> attacks = {apgd({.steps = 40}),
                                         apgd({.loss = Loss::kDlr, .targeted = true, .steps = 20})};
    std::vector<ExampleRecord> records;
    ASSERT_TRUE(run_suite({.target = &target, .threat = &t}, digits.cases, attacks, 0, {}, records).ok());
    std::size_t fallen = 0;
    std::string names;
    for (std::size_t i = 0; i < records.size(); ++i) {
      EXPECT_TRUE(records[i].clean());
      if (!records[i].fallen(known.epsilon)) continue;
      ++fallen;
      names += fmt::format(" {}:{}", i, records[i].by);
    }
    EXPECT_EQ(fallen, known.standard_suite) << known.net << " " << known.epsilon << names;
    if (known.exist == fallen) continue;
    // What is left lies where the network is flat around the image: found from corners alone.
    EXPECT_FALSE(records[0].fallen(known.epsilon));
    const std::vector<Attack> corners = {diversified()};
    std::vector<ExampleRecord> first(records.begin(), records.begin() + 1);
    ASSERT_TRUE(
        run_suite({.target = &target, .threat = &t}, std::span(digits.cases).first(1), corners, 0, {}, first).ok());
    EXPECT_TRUE(first[0].fallen(known.epsilon));
    EXPECT_EQ(first[0].by, "diversified");
  }
}

}  // namespace
}  // namespace plumbline::robustness
