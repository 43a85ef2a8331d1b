// Certified accuracy against closed forms, against enumeration of every vertex of tiny networks, and against attacks.
#include "plumbline/robustness/proof/certify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plumbline/base/parallel.hpp"
#include "plumbline/graph/onnx.hpp"
#include "tests/support/networks.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

using graph::Graph;
using ::testing::HasSubstr;

Graph random_classifier(const std::vector<std::int64_t>& sizes, base::Rng& rng) {
  return testing::dense_graph(sizes, "Relu", rng);
}

ProofModel model_of(Graph graph) {
  auto model = proof_model(std::move(graph));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().text());
  return model.ok() ? std::move(model).value() : ProofModel{};
}

InputDomain everywhere(std::size_t inputs) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  return {std::vector<double>(inputs, 1.0), std::vector<double>(inputs, -kNone), std::vector<double>(inputs, kNone)};
}

double lead_at(const Network& network, std::vector<double> x, int label) {
  const std::vector<double> z = forward(network, x, 1).back();
  double other = -1e300;
  for (std::size_t j = 0; j < z.size(); ++j) {
    if (static_cast<int>(j) != label) other = std::max(other, z[j]);
  }
  return z[static_cast<std::size_t>(label)] - other;
}

int best_class(const Network& network, std::span<const float> x) {
  const std::vector<double> z = forward(network, std::vector<double>(x.begin(), x.end()), 1).back();
  return static_cast<int>(std::max_element(z.begin(), z.end()) - z.begin());
}

/// The least lead over a square, for two inputs and one hidden layer: z_label - z_j is linear on each cell that the
/// hidden lines and the edges cut out, so its least value is at a crossing of two of them.
double least_lead(const Network& network, std::span<const float> x, int label, double radius) {
  struct Line {
    double a, b, c;  // a x + b y = c
  };
  std::vector<Line> lines;
  const double l0 = x[0] - radius, u0 = x[0] + radius, l1 = x[1] - radius, u1 = x[1] + radius;
  lines = {{1, 0, l0}, {1, 0, u0}, {0, 1, l1}, {0, 1, u1}};
  const Affine& first = network.steps[1].affine;
  for (std::size_t i = 0; i < first.rows; ++i)
    lines.push_back({first.weights[2 * i], first.weights[2 * i + 1], -first.bias[i]});
  double least = 1e300;
  for (std::size_t p = 0; p < lines.size(); ++p) {
    for (std::size_t q = p + 1; q < lines.size(); ++q) {
      const double det = lines[p].a * lines[q].b - lines[q].a * lines[p].b;
      if (det == 0) continue;
      const double px = (lines[p].c * lines[q].b - lines[q].c * lines[p].b) / det;
      const double py = (lines[p].a * lines[q].c - lines[q].a * lines[p].c) / det;
      if (px < l0 - 1e-12 || px > u0 + 1e-12 || py < l1 - 1e-12 || py > u1 + 1e-12) continue;
      least = std::min(least, lead_at(network, {px, py}, label));
    }
  }
  return least;
}

// A linear classifier's least lead is lead - radius * |w_label - w_j|_1, and CROWN meets it.
TEST(Certify, LinearClassifierInClosedForm) {
  base::Rng rng(1);
  const ProofModel model = model_of(random_classifier({5, 2}, rng));
  const Affine& w = model.network.steps[1].affine;
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<float> x(5);
    for (float& v : x) v = static_cast<float>(rng.normal());
    const int label = best_class(model.network, x);
    double norm = 0;
    for (std::size_t i = 0; i < 5; ++i) norm += std::abs(w.weights[i] - w.weights[5 + i]);
    const double lead = lead_at(model.network, {x.begin(), x.end()}, label);
    const double exact = lead / norm;
    CertifyOptions options;
    options.radii = {0.5 * exact, 0.999 * exact, 1.001 * exact, 2 * exact};
    const auto found = certify(model, x, label, everywhere(5), options);
    ASSERT_TRUE(found.ok()) << found.error().text();
    EXPECT_TRUE(found->clean);
    EXPECT_NEAR(found->lead, lead, 1e-12);
    for (std::size_t k = 0; k < 4; ++k) {
      const RadiusOutcome& at = found->radii[k];
      EXPECT_EQ(at.certified[1], k < 2) << k;
      EXPECT_EQ(at.broken, k >= 2) << k;
    }
    const double margin = found->radii[2].margin[1];
    EXPECT_LE(margin, lead - 1.001 * exact * norm);
    EXPECT_NEAR(margin, lead - 1.001 * exact * norm, 1e-9);
    // With the rows of the last layer subtracted first, intervals are exact here too.
    EXPECT_LE(found->radii[2].margin[0], lead - 1.001 * exact * norm);
    EXPECT_NEAR(found->radii[2].margin[0], margin, 1e-12);
  }
}

TEST(Certify, BoundsNeverPassTheEnumeratedLeastLeadAndTheCompleteMethodDecides) {
  base::Rng rng(2);
  int certified = 0;
  int broken = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const ProofModel model = model_of(random_classifier({2, 6, 3}, rng));
    std::vector<float> x = {static_cast<float>(rng.normal()), static_cast<float>(rng.normal())};
    const int label = best_class(model.network, x);
    CertifyOptions options;
    options.radii = {0.05, 0.2, 0.6};
    options.method = CertifyMethod::kComplete;
    options.regions = 2000;
    const auto found = certify(model, x, label, everywhere(2), options);
    ASSERT_TRUE(found.ok()) << found.error().text();
    for (const RadiusOutcome& at : found->radii) {
      const double exact = least_lead(model.network, x, label, at.radius);
      for (const double margin : at.margin) {
        if (!std::isnan(margin)) {
          EXPECT_LE(margin, exact + 1e-12) << trial << " at " << at.radius;
        }
      }
      if (!std::isnan(at.attacked)) {
        EXPECT_GE(at.attacked, exact - 1e-9);
      }
      EXPECT_EQ(at.certified[3], exact > 0) << trial << " at " << at.radius << ": " << exact << " " << at.open;
      EXPECT_EQ(at.broken, exact <= 0);
      certified += at.certified[3] ? 1 : 0;
      broken += at.broken ? 1 : 0;
    }
  }
  EXPECT_GT(certified, 20);
  EXPECT_GT(broken, 20);
}

// Deeper networks, more inputs: no enumeration, but attack and bound must keep their order everywhere, also against
// random inputs of the box.
TEST(Certify, AttackAndBoundNeverCross) {
  base::Rng rng(3);
  for (int trial = 0; trial < 25; ++trial) {
    const ProofModel model = model_of(random_classifier({8, 10, 10, 4}, rng));
    std::vector<float> x(8);
    for (float& v : x) v = static_cast<float>(rng.uniform());
    const int label = best_class(model.network, x);
    InputDomain domain{std::vector<double>(8, 1.0), std::vector<double>(8, 0.0), std::vector<double>(8, 1.0)};
    CertifyOptions options;
    options.radii = {0.02, 0.08, 0.2, 0.5};
    options.seed = static_cast<std::uint64_t>(trial);
    const auto found = certify(model, x, label, domain, options);
    ASSERT_TRUE(found.ok()) << found.error().text();
    for (const RadiusOutcome& at : found->radii) {
      EXPECT_FALSE(at.broken && at.certified[3]);
      double sampled = 1e300;
      for (int s = 0; s < 200; ++s) {
        std::vector<double> y(8);
        for (std::size_t i = 0; i < 8; ++i)
          y[i] = std::clamp(x[i] + (rng.bernoulli(0.5) ? 1 : -1) * at.radius, 0.0, 1.0);
        sampled = std::min(sampled, lead_at(model.network, y, label));
      }
      if (sampled <= 0) {
        EXPECT_FALSE(at.certified[3]);
      }
      for (const double margin : at.margin) {
        if (std::isnan(margin)) continue;
        EXPECT_LE(margin, sampled + 1e-9);
        if (!std::isnan(at.attacked)) {
          EXPECT_LE(margin, at.attacked + 1e-9);
        }
      }
    }
    if (!found->witness.empty()) {
      EXPECT_LE(lead_at(model.network, found->witness, label), 1e-9);
      for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_GE(found->witness[i], 0.0);
        EXPECT_LE(found->witness[i], 1.0);
      }
    }
    // Certified downwards, broken upwards; a dearer method proves no less.
    for (std::size_t k = 1; k < found->radii.size(); ++k) {
      for (std::size_t m = 0; m < kCertifyMethods; ++m) {
        EXPECT_LE(found->radii[k].certified[m], found->radii[k - 1].certified[m]);
        if (m > 0) {
          EXPECT_GE(found->radii[k].certified[m], found->radii[k].certified[m - 1]);
        }
      }
      EXPECT_GE(found->radii[k].broken, found->radii[k - 1].broken);
    }
  }
}

TEST(Certify, TheRangeCutsTheBoxAndASoftmaxChangesNothing) {
  base::Rng rng(4);
  Graph graph = random_classifier({3, 5, 2}, rng);
  Graph with_softmax = graph;
  with_softmax.nodes.push_back({"p", "Softmax", {graph.outputs[0].name}, {"p"}, {{"axis", std::int64_t{-1}}}});
  with_softmax.outputs[0].name = "p";
  const ProofModel plain = model_of(graph);
  const ProofModel soft = model_of(with_softmax);
  EXPECT_FALSE(plain.softmax_removed);
  EXPECT_TRUE(soft.softmax_removed);
  // Over the batch it would be another function.
  with_softmax.nodes.back().attributes["axis"] = std::int64_t{0};
  EXPECT_FALSE(strip_softmax(with_softmax));
  const std::vector<float> x = {0.0F, 1.0F, 0.5F};
  const int label = best_class(plain.network, x);
  const InputDomain domain{{1, 2, 1}, {0, 0, 0}, {1, 1, 1}};
  const Property ball = ball_property(x, label, 0.25, domain, 2);
  EXPECT_EQ(ball.boxes[0].lower[0].below, 0.0);
  EXPECT_EQ(ball.boxes[0].upper[1].above, 1.0);
  EXPECT_EQ(ball.boxes[0].lower[1].nearest, 0.5);
  EXPECT_LT(ball.boxes[0].lower[2].below, 0.25);
  EXPECT_EQ(ball.boxes[0].lower[2].nearest, 0.25);
  CertifyOptions options;
  options.radii = {0.1, 0.4};
  const auto a = certify(plain, x, label, domain, options);
  const auto b = certify(soft, x, label, domain, options);
  ASSERT_TRUE(a.ok() && b.ok());
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_EQ(a->radii[k].certified, b->radii[k].certified);
    EXPECT_EQ(a->radii[k].margin[0], b->radii[k].margin[0]);
  }
}

TEST(Certify, WrongByItselfIsBrokenEverywhereAndCountsAddUp) {
  base::Rng rng(5);
  const ProofModel model = model_of(random_classifier({2, 4, 2}, rng));
  std::vector<ExampleOutcome> all;
  CertifyOptions options;
  options.radii = {0.01, 0.1, 1.0};
  for (int i = 0; i < 12; ++i) {
    const std::vector<float> x = {static_cast<float>(rng.normal()), static_cast<float>(rng.normal())};
    const int label = i % 3 == 0 ? 1 - best_class(model.network, x) : best_class(model.network, x);
    auto found = certify(model, x, label, everywhere(2), options);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->clean, i % 3 != 0);
    if (i % 3 == 0) {
      for (const RadiusOutcome& at : found->radii) EXPECT_TRUE(at.broken && !at.certified[3]);
    }
    all.push_back(std::move(*found));
  }
  std::size_t before = 12;
  for (std::size_t k = 0; k < options.radii.size(); ++k) {
    std::size_t standing = 0;
    for (const ExampleOutcome& example : all) {
      const RadiusOutcome& at = example.radii[k];
      EXPECT_FALSE(at.broken && at.certified[kCertifyMethods - 1]);
      standing += at.broken ? 0 : 1;
    }
    EXPECT_LE(standing, 8U);
    EXPECT_LE(standing, before);
    before = standing;
  }
}

TEST(Certify, SameBitsForAnyThreads) {
  base::Rng rng(6);
  const ProofModel model = model_of(random_classifier({20, 30, 20, 2}, rng));
  std::vector<float> x(20);
  for (float& v : x) v = static_cast<float>(rng.uniform());
  const int label = best_class(model.network, x);
  CertifyOptions options;
  options.radii = {0.1, 0.2, 0.3};
  options.method = CertifyMethod::kComplete;
  options.regions = 40;
  std::vector<ExampleOutcome> runs;
  for (const int threads : {1, 2}) {
    base::set_threads(threads);
    auto found = certify(model, x, label, everywhere(20), options);
    ASSERT_TRUE(found.ok());
    runs.push_back(std::move(*found));
  }
  base::set_threads(0);
  EXPECT_TRUE(std::any_of(runs[0].radii.begin(), runs[0].radii.end(), [](const RadiusOutcome& at) {
    return !std::isnan(at.margin[3]);  // the dear methods had something to do
  }));
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(runs[0].radii[k].certified, runs[1].radii[k].certified);
    EXPECT_EQ(runs[0].radii[k].broken, runs[1].radii[k].broken);
    EXPECT_EQ(runs[0].radii[k].open, runs[1].radii[k].open);
    for (std::size_t m = 0; m < kCertifyMethods; ++m) {
      const double a = runs[0].radii[k].margin[m];
      const double b = runs[1].radii[k].margin[m];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b)));
    }
  }
}

TEST(Certify, WhatOverflowsProvesNothing) {
  Graph graph{.name = "big", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  graph.inputs = {{"x", graph::Type::kDouble, {-1, 1}}};
  graph.initializers["a"] = testing::floats({1, 1}, {1e152});
  graph.initializers["b"] = testing::floats({1, 2}, {1e152, -1e152});
  graph.nodes = {{"n1", "MatMul", {"x", "a"}, {"h"}, {}}, {"n2", "MatMul", {"h", "b"}, {"y"}, {}}};
  graph.outputs = {{"y", graph::Type::kDouble, {-1, 2}}};
  const ProofModel model = model_of(graph);
  CertifyOptions options;
  options.radii = {0.1, 1e5};
  const std::vector<float> x = {1e3F};
  const auto found = certify(model, x, 0, everywhere(1), options);
  ASSERT_TRUE(found.ok()) << found.error().text();
  EXPECT_TRUE(found->radii[0].certified[3]);
  EXPECT_FALSE(found->radii[1].certified[3]);
}

TEST(Certify, NamesWhatIsWrong) {
  base::Rng rng(7);
  const ProofModel model = model_of(random_classifier({2, 2}, rng));
  const std::vector<float> x = {0.0F, 0.0F};
  const std::vector<float> bad = {0.0F, std::numeric_limits<float>::quiet_NaN()};
  CertifyOptions options;
  options.radii = {0.1};
  const auto message = [&](std::span<const float> at, int label, const InputDomain& domain, CertifyOptions how) {
    const auto found = certify(model, at, label, domain, how);
    return found.ok() ? std::string() : found.error().message;
  };
  EXPECT_THAT(message(std::span(x).first(1), 0, everywhere(2), options), HasSubstr("x"));
  EXPECT_THAT(message(x, 0, everywhere(3), options), HasSubstr("domain"));
  EXPECT_THAT(message(x, 2, everywhere(2), options), HasSubstr("label"));
  EXPECT_THAT(message(bad, 0, everywhere(2), options), HasSubstr("x"));
  for (const std::vector<double>& radii : {std::vector<double>{0.0}, {0.2, 0.1}, {NAN}, {INFINITY}}) {
    CertifyOptions other = options;
    other.radii = radii;
    EXPECT_THAT(message(x, 0, everywhere(2), other), HasSubstr("radii["));
  }
  base::Rng one(8);
  EXPECT_THAT(proof_model(random_classifier({2, 1}, one)).error().message, HasSubstr("1 output"));
}

TEST(InputDomain, FollowsRangeMeanAndLayout) {
  data::Dataset set;
  set.kind = data::Dataset::Kind::kImages;
  set.images.count = 1;
  set.images.channels = 2;
  set.images.height = 1;
  set.images.width = 2;
  data::InputSpec spec;
  spec.mean = {0.5, 0.0};
  spec.deviation = {0.5, 0.25};
  auto domain = input_domain(set, spec);
  ASSERT_TRUE(domain.ok());
  EXPECT_EQ(domain->scale, (std::vector<double>{2, 2, 4, 4}));
  EXPECT_EQ(domain->low, (std::vector<double>{-1, -1, 0, 0}));
  EXPECT_EQ(domain->high, (std::vector<double>{1, 1, 4, 4}));
  spec.layout = "NHWC";
  EXPECT_EQ(input_domain(set, spec)->scale, (std::vector<double>{2, 4, 2, 4}));
  spec.deviation = {0.5, 0.0};
  EXPECT_THAT(input_domain(set, spec).error().message, HasSubstr("deviation 0"));
  spec.deviation = {};
  spec.high = 0;
  EXPECT_THAT(input_domain(set, spec).error().message, HasSubstr("empty"));
  set.kind = data::Dataset::Kind::kTable;
  EXPECT_THAT(input_domain(set, {}).error().message, HasSubstr("table"));
}

}  // namespace
}  // namespace plumbline::robustness
