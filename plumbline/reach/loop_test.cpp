// System files, tubes and verdicts: bad input, closed forms, random loops against rollouts, published verdicts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/reach/controller.hpp"
#include "plumbline/reach/picture.hpp"
#include "plumbline/reach/verify_loop.hpp"
#include "tests/support/networks.hpp"
#include "tests/support/testing.hpp"

#ifndef PLUMBLINE_SOURCE_DIR
#define PLUMBLINE_SOURCE_DIR "."
#endif

namespace plumbline::reach {
namespace {

using robustness::Network;
using ::testing::HasSubstr;

Network dense_network(const std::vector<std::int64_t>& sizes, const std::string& activation, base::Rng& rng) {
  auto network = robustness::lower(testing::dense_graph(sizes, activation, rng));
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().text());
  return network.ok() ? std::move(network).value() : Network{};
}

std::string head(const std::string& period, int steps, const std::string& kind = "continuous") {
  return fmt::format("[loop]\nname = \"test\"\nkind = \"{}\"\nperiod = {}\nsteps = {}\n", kind, period, steps);
}

Loop parsed(const std::string& text) {
  auto loop = parse_loop(text, "loop.toml", "");
  EXPECT_TRUE(loop.ok()) << (loop.ok() ? "" : loop.error().text());
  return loop.ok() ? std::move(loop).value() : Loop{};
}

std::string refused(const std::string& text) {
  const auto loop = parse_loop(text, "loop.toml", "");
  return loop.ok() ? "no error" : loop.error().text();
}

// ---- the network as a function of the set --------------------------------------------------------------------------

TEST(NetworkForms, HoldTheNetworkAtEverySymbol) {
  base::Rng rng(5, {"forms"});
  for (const char* activation : {"Relu", "Tanh", "Sigmoid"}) {
    for (int trial = 0; trial < 12; ++trial) {
      const Network network = dense_network({3, 12, 8, 2}, activation, rng);
      const double size = std::pow(10.0, rng.uniform(-3, 0));
      std::vector<Affine> inputs(3);
      for (Affine& x : inputs) {
        x.center = rng.normal();
        for (int s = 0; s < 5; ++s) x.symbols.push_back(size * rng.normal() * (s == 2 ? 0 : 1));
        x.error = trial % 2 == 0 ? 0 : 0.1 * size * rng.uniform();
      }
      const auto out = network_forms(network, inputs);
      ASSERT_TRUE(out.ok()) << out.error().text();
      double widest = 0;
      for (int k = 0; k < 60; ++k) {
        std::vector<double> s(5);
        for (double& v : s) v = k < 20 ? (rng.bernoulli(0.5) ? 1 : -1) : rng.uniform(-1, 1);
        std::vector<double> y;
        for (const Affine& x : inputs) {
          double value = x.center + x.error * rng.uniform(-1, 1);
          for (std::size_t i = 0; i < 5; ++i) value += x.symbols[i] * s[i];
          y.push_back(value);
        }
        const std::vector<double> exact = robustness::forward(network, y, 1).back();
        for (std::size_t o = 0; o < 2; ++o) {
          double middle = (*out)[o].center;
          for (std::size_t i = 0; i < (*out)[o].symbols.size(); ++i) middle += (*out)[o].symbols[i] * s[i];
          ASSERT_LE(std::abs(exact[o] - middle), (*out)[o].error * (1 + 1e-9) + 1e-12) << activation;
          widest = std::max(widest, std::abs(exact[o] - (*out)[o].center));
        }
      }
      // A form is no looser than three times what samples show, plus what the bend of the activations makes.
      for (const Affine& form : *out) EXPECT_TRUE(std::isfinite(form.radius()));
      if (size < 0.01 && trial % 2 == 0) {
        EXPECT_LE((*out)[0].error, 0.5 * (*out)[0].radius() + 1e-9) << activation;
      }
    }
  }
}

TEST(NetworkForms, OfAnAffineNetworkAreExact) {
  base::Rng rng(6, {"linear"});
  const Network network = dense_network({2, 2}, "Relu", rng);
  std::vector<Affine> inputs(2);
  inputs[0].center = 0.3;
  inputs[0].symbols = {0.5, 0.1};
  inputs[1].center = -1;
  inputs[1].symbols = {0.2, -0.4};
  const auto out = network_forms(network, inputs);
  ASSERT_TRUE(out.ok());
  for (const Affine& form : *out) EXPECT_LT(form.error, 1e-12);
}

TEST(PossibleChoices, NeverMissOne) {
  base::Rng rng(7, {"choices"});
  int single = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Network network = dense_network({2, 8, 4}, "Relu", rng);
    std::vector<Affine> inputs(2);
    const double size = std::pow(10.0, rng.uniform(-3, 0));
    for (std::size_t i = 0; i < 2; ++i) {
      inputs[i].center = rng.normal();
      inputs[i].symbols = {i == 0 ? size : 0, i == 1 ? size : 0};
    }
    const bool least = trial % 2 == 1;
    const auto possible = possible_choices(network, inputs, least);
    ASSERT_TRUE(possible.ok());
    single += possible->size() == 1 ? 1 : 0;
    for (int k = 0; k < 100; ++k) {
      const std::vector<double> y = {inputs[0].center + size * rng.uniform(-1, 1),
                                     inputs[1].center + size * rng.uniform(-1, 1)};
      const std::vector<double> v = robustness::forward(network, y, 1).back();
      const auto best = least ? std::min_element(v.begin(), v.end()) : std::max_element(v.begin(), v.end());
      EXPECT_THAT(*possible, ::testing::Contains(static_cast<std::size_t>(best - v.begin())));
    }
  }
  EXPECT_GE(single, 10);
}

// ---- tubes ---------------------------------------------------------------------------------------------------------

/// Every point of the rollout lies in every piece of the tube that covers its time; the rollout itself is a little off.
void expect_inside(const Loop& loop, const Tube& tube, const Rollout& rollout, double slack, const std::string& what) {
  for (std::size_t i = 0; i < rollout.points.size(); ++i) {
    bool covered = false;
    for (const TubePiece& piece : tube.pieces) {
      if (rollout.times[i] < piece.from - 1e-12 || rollout.times[i] > piece.to + 1e-12) continue;
      covered = true;
      for (std::size_t v = 0; v < loop.width(); ++v) {
        const double x = rollout.points[i][v];
        const double room = slack * (1 + std::abs(x));
        ASSERT_TRUE(piece.box[v].lo - room <= x && x <= piece.box[v].hi + room)
            << what << ": " << loop.variables[v].name << " = " << x << " at " << rollout.times[i] << ", tube ["
            << piece.box[v].lo << ", " << piece.box[v].hi << "]";
      }
    }
    ASSERT_TRUE(covered) << what << " at " << rollout.times[i];
  }
}

Tube whole_tube(const Loop& loop) {
  TubeOptions options;
  options.whole = true;
  options.keep = true;
  options.branch = true;
  auto tube = reach_tube(loop, initial_box(loop), options);
  EXPECT_TRUE(tube.ok()) << (tube.ok() ? "" : tube.error().text());
  return tube.ok() ? std::move(tube).value() : Tube{};
}

/// Plants with and without trigonometric terms, steered by random networks of every activation.
Loop random_loop(int trial, base::Rng& rng) {
  static const std::vector<std::string> kPlants = {
      "x = \"-x + y + u\"\ny = \"-0.5*x - y + w\"\n",
      "x = \"y*cos(x) + w\"\ny = \"-sin(x) + u\"\n",
      "x = \"y\"\ny = \"(1 - x^2)*y - x + u + w\"\n",
      "x = \"exp(-x^2) - y + w\"\ny = \"tanh(x)*sqrt(4 + y^2) - 2*y + u\"\n",
      "x = \"x/(2 + y^2) + u\"\ny = \"-y^3 + log(3 + x^2) + w\"\n",
  };
  const double x = rng.uniform(-1, 1);
  const double y = rng.uniform(-1, 1);
  const double size = std::pow(10.0, rng.uniform(-2.5, -0.7));
  Loop loop = parsed(
      head("0.25", 8) +
      fmt::format("[states]\nx = [{}, {}]\ny = [{}, {}]\n[parameters]\nw = [-0.01, 0.02]\n", x, x + size, y, y + size) +
      "[controller]\nnetwork = \"n.onnx\"\ninputs = [\"x\", \"2*y - x\", \"sin(y)\"]\n"
      "[controller.controls]\nu = \"N1 - 0.5*N2\"\n[dynamics]\n" +
      kPlants[static_cast<std::size_t>(trial) % kPlants.size()] + "[[property]]\nfinally = \"x <= 100\"\n");
  const std::vector<std::string> activations = {"Relu", "Tanh", "Sigmoid"};
  loop.networks = {
      std::make_shared<Network>(dense_network({3, 10, 10, 2}, activations[static_cast<std::size_t>(trial) % 3], rng))};
  return loop;
}

TEST(Tubes, NoRolloutOfARandomLoopLeavesItsTube) {
  base::Rng rng(8, {"tubes"});
  int bounded = 0;
  for (int trial = 0; trial < 45; ++trial) {
    const Loop loop = random_loop(trial, rng);
    const Tube tube = whole_tube(loop);
    // A set that grew too large ends early; what there is of the tube still holds the rollouts.
    bounded += tube.last.empty() ? 0 : 1;
    const double end = tube.pieces.back().to;
    for (int k = 0; k < 12; ++k) {
      Rollout rollout = *simulate(loop, draw_start(initial_box(loop), static_cast<std::size_t>(k), rng), 40);
      while (rollout.times.back() > end + 1e-9) {
        rollout.times.pop_back();
        rollout.points.pop_back();
      }
      expect_inside(loop, tube, rollout, 1e-7, fmt::format("loop {} rollout {}", trial, k));
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_GE(bounded, 40);
}

TEST(Tubes, OfALinearSystemAreTheExactOnes) {
  // x' = -x from [1, 2]: x(t) in [e^-t, 2 e^-t]. The claim at the end is decided to within 1e-6 of the truth.
  for (const double shift : {1e-6, -1e-6}) {
    const Loop loop = parsed(head("0.5", 4) + "[states]\nx = [1, 2]\n[dynamics]\nx = \"-x\"\n" +
                             fmt::format("[[property]]\nfinally = \"x <= {:.12f}\"\n", 2 * std::exp(-2) + shift));
    const auto v = verify_loop(loop);
    ASSERT_TRUE(v.ok()) << v.error().text();
    EXPECT_EQ(v->verdict, shift > 0 ? LoopVerdict::kHolds : LoopVerdict::kViolated) << v->reason;
  }
}

TEST(Tubes, ThePropertyIsJudgedBetweenPeriodEnds) {
  // A swing x = sin t asked at multiples of pi is 0 there and 1 between.
  const std::string system =
      head("3.141592653589793", 2) + "[states]\nx = 0\nv = 1\n[dynamics]\nx = \"v\"\nv = \"-x\"\n";
  for (const auto& [claim, verdict] :
       std::map<std::string, LoopVerdict>{{"always = \"x <= 0.99\"", LoopVerdict::kViolated},
                                          {"always = \"x <= 1.0001\"", LoopVerdict::kHolds},
                                          {"never = [\"x >= 0.9\", \"v >= 0\"]", LoopVerdict::kViolated},
                                          {"never = [\"x >= 0.9\", \"v >= 0.5\"]", LoopVerdict::kHolds},
                                          {"eventually = \"x <= -0.99\"", LoopVerdict::kHolds},
                                          {"eventually = \"x <= -1.01\"", LoopVerdict::kViolated},
                                          {"always = \"x >= -0.001\"\nto = 3.141592653589793", LoopVerdict::kHolds},
                                          {"always = \"x <= 0.001\"\nfrom = 3.141592653589793", LoopVerdict::kHolds}}) {
    const auto v = verify_loop(parsed(system + "[[property]]\n" + claim + "\n"));
    ASSERT_TRUE(v.ok()) << v.error().text();
    EXPECT_EQ(v->verdict, verdict) << claim << ": " << v->reason;
  }
}

TEST(Tubes, ADiscreteLoopIsFollowedStepByStep) {
  // A counter that turns round at 3 of its own accord: 0 1 2 3 2 1 0 ...
  const std::string system =
      head("1", 6, "discrete") +
      "[states]\nx = 0\nd = 1\n[let]\nnext = \"if(x >= 3, -1, if(x <= 0, 1, d))\"\n[dynamics]\nx = \"x + next\"\n"
      "d = \"next\"\n";
  const auto holds =
      verify_loop(parsed(system + "[[property]]\nalways = \"0 <= x <= 3\"\n[[property]]\nfinally = \"x <= 0\"\n"));
  ASSERT_TRUE(holds.ok()) << holds.error().text();
  EXPECT_EQ(holds->verdict, LoopVerdict::kHolds) << holds->reason;
  const auto violated = verify_loop(parsed(system + "[[property]]\nalways = \"x < 3\"\n"));
  ASSERT_TRUE(violated.ok());
  EXPECT_EQ(violated->verdict, LoopVerdict::kViolated) << violated->reason;
  EXPECT_EQ(violated->witness.points[3][0], 3);
}

TEST(Tubes, TheVerdictDoesNotDependOnThreads) {
  base::Rng rng(9, {"threads"});
  Loop loop = random_loop(1, rng);
  loop.properties.clear();
  std::vector<std::pair<LoopVerdict, std::size_t>> seen;
  const std::string claim = "[[property]]\nfinally = \"x <= 100\"\n";
  loop.properties = parsed(head("0.25", 8) +
                           "[states]\nx = 0\ny = 0\n[parameters]\nw = 0\n[dynamics]\nx = \"x\"\ny = \"y\"\n" + claim)
                        .properties;
  for (const int threads : {1, 2}) {
    base::set_threads(threads);
    const auto v = verify_loop(loop);
    ASSERT_TRUE(v.ok());
    seen.emplace_back(v->verdict, v->boxes);
  }
  base::set_threads(0);
  EXPECT_EQ(seen[0], seen[1]);
}

TEST(Verdicts, EndAsUnknownWithTheReason) {
  const Loop loop =
      parsed(head("1", 10) + "[states]\nx = [0.5, 1]\n[dynamics]\nx = \"x^2\"\n[[property]]\nalways = \"x >= -1e6\"\n");
  VerifyLoopOptions options;
  options.boxes = 4;
  const auto v = verify_loop(loop, options);
  ASSERT_TRUE(v.ok()) << v.error().text();
  EXPECT_EQ(v->verdict, LoopVerdict::kUnknown);  // 1 / (1/x - t) ends before 10
  EXPECT_THAT(v->reason, HasSubstr("limit of boxes after"));
  EXPECT_THAT(v->reason, HasSubstr("deepest open box"));
  options.seconds = 0;
  const auto late = verify_loop(loop, options);
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->verdict, LoopVerdict::kUnknown);
  EXPECT_TRUE(late->timed_out);
  const auto cancel = base::CancelToken::make();
  cancel.cancel();
  const auto stopped = verify_loop(loop, {}, base::no_progress(), cancel);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, base::Code::kCancelled);
}

TEST(Verdicts, ABrokenClaimComesWithItsRollout) {
  // u = -2 x never brings x to the other side; only starts beyond 0.9 stay above 0.4 at the end.
  const Loop loop = parsed(head("0.5", 2) +
                           "[states]\nx = [0.5, 1]\n[dynamics]\nx = \"-x\"\n[[property]]\nfinally = \"x <= 0.36\"\n");
  const auto v = verify_loop(loop);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->verdict, LoopVerdict::kViolated);
  EXPECT_GT(v->witness.start[0], 0.36 * std::exp(1.0));
  EXPECT_EQ(v->broken, std::vector<std::size_t>{0});
  EXPECT_LT(v->witness.margins[0], 0);
}

TEST(Pictures, HoldTheirTubeAndEscapeNames) {
  Loop loop =
      parsed(head("0.5", 4) +
             "[states]\nx = [1, 2]\ny = 0\n[dynamics]\nx = \"-x\"\ny = \"x\"\n[[property]]\nfinally = \"x <= 1\"\n");
  loop.name = "<script>";
  const std::vector<Tube> tubes = {whole_tube(loop)};
  const std::vector<Rollout> rollouts = {*simulate(loop, std::vector<double>{1.5, 0})};
  const std::string svg = tube_picture(loop, tubes, rollouts, "holds");
  EXPECT_THAT(svg, HasSubstr("<svg xmlns"));
  EXPECT_THAT(svg, HasSubstr("<animate "));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;: holds"));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, ::testing::Not(HasSubstr("nan")));
  EXPECT_EQ(thinned(tubes[0].pieces, 2).size(), 2U);
  EXPECT_EQ(thinned(tubes[0].pieces, 2).back().to, tubes[0].pieces.back().to);
}

// ---- bad input -----------------------------------------------------------------------------------------------------

TEST(SystemFiles, AreRefusedByNameAndPlace) {
  const std::string fine = head("1", 2) + "[states]\nx = [0, 1]\n[dynamics]\nx = \"-x\"\n";
  EXPECT_EQ(refused(fine), "no error");
  EXPECT_THAT(refused("x = "), HasSubstr("loop.toml:1:"));
  EXPECT_THAT(refused(fine + "[stats]\n"), HasSubstr("loop.toml:10: unknown section 'stats', did you mean 'states'?"));
  EXPECT_THAT(refused("[states]\nx = 1\n"), HasSubstr("section [loop] is missing"));
  EXPECT_THAT(refused(head("1", 2)), HasSubstr("section [states] is missing"));
  EXPECT_THAT(refused(head("0", 2)), HasSubstr("period 0 is not above 0"));
  EXPECT_THAT(refused(head("1", 0)), HasSubstr("steps 0 is not a whole number"));
  EXPECT_THAT(refused(head("1", 2, "hybrid")), HasSubstr("unknown kind 'hybrid'"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = [1, 0]\n"),
              HasSubstr("loop.toml:7: the box of 'x' is empty: 1 is above 0"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = nan\n"), HasSubstr("expected a finite number"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = [0, inf]\n"), HasSubstr("expected a finite number"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = { initial = 1, unit = \"furlong\" }\n"),
              HasSubstr("unknown unit 'furlong'"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = { initial = 1, unit = \"m/s^q\" }\n"), HasSubstr("unknown unit"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nsin = 1\n"), HasSubstr("is a word of the formulas"));
  EXPECT_THAT(refused(head("1", 2) + "[constants]\nx = 2\n[states]\nx = 1\n"), HasSubstr("'x' is defined twice"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = 1\n[dynamics]\nx = \"gamma(x)\"\n"),
              HasSubstr("(dynamics.x), column 1: unknown function 'gamma'"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = 1\n[dynamics]\nx = \"z\"\n"), HasSubstr("unknown variable 'z'"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = 1\n[dynamics]\nx = \"abs(x)\"\n"), HasSubstr("have no derivative"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = 1\n[dynamics]\ny = \"1\"\n"),
              HasSubstr("unknown key in [dynamics] 'y'"));
  EXPECT_THAT(refused(head("1", 2) + "[states]\nx = 1\ny = 1\n[dynamics]\nx = \"1\"\n"),
              HasSubstr("no formula for the state 'y'"));
  EXPECT_THAT(refused(fine + "[[property]]\nalways = \"x\"\n"), HasSubstr("expected a comparison"));
  EXPECT_THAT(refused(fine + "[[property]]\nfrom = 1\n"), HasSubstr("expected always, never, finally or eventually"));
  EXPECT_THAT(refused(fine + "[[property]]\nalways = \"x <= 1\"\nfrom = 0.5\n"),
              HasSubstr("no multiple of the period"));
  EXPECT_THAT(refused(fine + "[[property]]\nalways = \"x <= 1\"\nfrom = 2\nto = 1\n"),
              HasSubstr("the window is empty"));
  EXPECT_THAT(refused(fine + "[[property]]\nfinally = \"x <= 1\"\nto = 1\n"), HasSubstr("takes no 'from'"));
  EXPECT_THAT(refused(fine + "[plot]\nx = \"q\"\n"), HasSubstr("unknown variable 'q'"));
  const std::string states = head("1", 2) + "[states]\nx = 1\n";
  EXPECT_THAT(refused(states + "[controller]\ninputs = [\"x\"]\n"), HasSubstr("either 'network' or 'networks'"));
  EXPECT_THAT(refused(states + "[controller]\nnetwork = \"../n.onnx\"\ninputs = [\"x\"]\n"),
              HasSubstr("leaves the folder"));
  EXPECT_THAT(refused(states + "[controller]\nnetwork = \"store:n.onnx\"\ninputs = [\"x\"]\n"),
              HasSubstr("--root store=DIR"));
  EXPECT_THAT(refused(states + "[controller]\nnetworks = [\"a\", \"b\"]\ninputs = [\"x\"]\n"),
              HasSubstr("'select' is missing"));
  EXPECT_THAT(refused(states + "[controller]\nnetwork = \"n\"\ninputs = [\"x\"]\noutput = \"argmax\"\n"),
              HasSubstr("needs kind = \"discrete\""));
  EXPECT_THAT(refused(states + "[controller]\nnetwork = \"n\"\ninputs = [\"x\"]\n[controller.controls]\nu = \"M1\"\n"),
              HasSubstr("unknown variable 'M1'"));
  EXPECT_THAT(refused(states + "[controller]\nnetwork = \"n\"\ninputs = [\"u\"]\n[controller.controls]\nu = \"N1\"\n"),
              HasSubstr("unknown variable 'u'"));
}

TEST(SystemFiles, NetworkAndFormulasMustFit) {
  testing::TempFolder folder;
  base::Rng rng(10, {"fit"});
  ASSERT_TRUE(graph::write_onnx(testing::dense_graph({2, 4, 1}, "Relu", rng), folder.file("n.onnx")).ok());
  const auto read = [&](const std::string& inputs, const std::string& output) {
    testing::write_file(folder.file("loop.toml"),
                        head("1", 2) +
                            "[states]\nx = 1\ny = 2\n[controller]\nnetwork = \"n.onnx\"\ninputs = " + inputs +
                            "\n[controller.controls]\nu = \"" + output + "\"\n[dynamics]\nx = \"u\"\ny = \"x\"\n");
    const auto loop = read_loop(folder.file("loop.toml"));
    return loop.ok() ? std::string("no error") : loop.error().text();
  };
  EXPECT_EQ(read("[\"x\", \"y\"]", "N1"), "no error");
  EXPECT_THAT(read("[\"x\"]", "N1"), HasSubstr("has 1 formulas, and the network takes 2 inputs"));
  EXPECT_THAT(read("[\"x\", \"y\"]", "N2"), HasSubstr("unknown variable 'N2', did you mean 'N1'?"));
  EXPECT_THAT(read_loop(folder.file("none.toml")).error().text(), HasSubstr("none.toml"));
  const auto set = read_loop(folder.file("loop.toml"), {.initial = {{"z", Interval(0, 1)}}, .roots = {}});
  ASSERT_FALSE(set.ok());
}

TEST(SystemFiles, AnotherInitialRangeCanBeGiven) {
  const std::string text = head("1", 2) + "[states]\nx = [0, 1]\n[dynamics]\nx = \"-x\"\n";
  const auto loop = parse_loop(text, "loop.toml", "", {.initial = {{"x", Interval(2, 3)}}, .roots = {}});
  ASSERT_TRUE(loop.ok());
  EXPECT_EQ(loop->variables[0].initial.lo, 2);
  const auto wrong = parse_loop(text, "loop.toml", "", {.initial = {{"y", Interval(2, 3)}}, .roots = {}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().text(), HasSubstr("unknown variable 'y'"));
}

// ---- published verdicts --------------------------------------------------------------------------------------------

struct Published {
  const char* file;
  std::map<std::string, Interval> initial;
  LoopVerdict verdict;
};

TEST(PublishedVerdicts, OfNeuralControllers) {
  PL_NEEDS_DATA(data, "controllers/onnx");
  const std::string root = data.substr(0, data.find("/controllers/"));
  const std::vector<Published> all = {
      {"acc", {}, LoopVerdict::kHolds},
      {"tora", {}, LoopVerdict::kHolds},
      {"tora_relu_tanh", {}, LoopVerdict::kHolds},
      {"tora_sigmoid", {}, LoopVerdict::kHolds},
      {"unicycle", {}, LoopVerdict::kHolds},
      {"single_pendulum", {}, LoopVerdict::kViolated},
      {"single_pendulum", {{"theta", Interval(1, 1.175)}}, LoopVerdict::kHolds},
      {"attitude", {}, LoopVerdict::kHolds},
      {"double_pendulum_more", {}, LoopVerdict::kViolated},
      {"quadrotor", {}, LoopVerdict::kHolds},
      {"airplane", {}, LoopVerdict::kViolated},
      {"vcas", {}, LoopVerdict::kHolds},
      {"vcas", {{"hdot", Interval(-22.5)}}, LoopVerdict::kHolds},
      {"vcas", {{"hdot", Interval(-25.5)}}, LoopVerdict::kViolated},
      {"vcas", {{"hdot", Interval(-28.5)}}, LoopVerdict::kViolated},
  };
  base::Rng rng(11, {"published"});
  for (const Published& p : all) {
    const std::string file = fmt::format("{}/examples/reach/{}.toml", PLUMBLINE_SOURCE_DIR, p.file);
    const auto loop = read_loop(file, {.initial = p.initial, .roots = {{"data", root}}});
    ASSERT_TRUE(loop.ok()) << loop.error().text();
    VerifyLoopOptions options;
    options.seconds = 600;  // a loaded machine is no reason to be undecided
    options.rollouts = 60;
    options.local = 60;
    const auto v = verify_loop(*loop, options);
    ASSERT_TRUE(v.ok()) << v.error().text();
    EXPECT_EQ(v->verdict, p.verdict) << p.file << ": " << v->reason;
    if (v->verdict != LoopVerdict::kHolds) continue;
    // Rollouts from a proved box stay in its tube.
    TubeOptions keep;
    keep.keep = true;
    keep.branch = true;
    for (std::size_t b = 0; b < std::min<std::size_t>(v->leaves.size(), 2); ++b) {
      const auto tube = reach_tube(*loop, v->leaves[b], keep);
      ASSERT_TRUE(tube.ok()) << tube.error().text();
      for (std::size_t k = 0; k < 25; ++k) {
        const auto rollout = simulate(*loop, draw_start(v->leaves[b], k, rng));
        ASSERT_TRUE(rollout.ok());
        expect_inside(*loop, *tube, *rollout, 1e-6, p.file);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(PublishedVerdicts, OfVcasAreExactStartByStart) {
  // Heights one by one: the simulated verdict is the proved one at every start, and unsafe counts are those that were
  // measured when the data set was made: 0, 0, 401 and 401 of 401.
  PL_NEEDS_DATA(data, "controllers/onnx");
  const std::string root = data.substr(0, data.find("/controllers/"));
  const std::map<double, int> unsafe = {{-19.5, 0}, {-22.5, 0}, {-25.5, 401}, {-28.5, 401}};
  for (const auto& [speed, wanted] : unsafe) {
    const auto loop = read_loop(std::string(PLUMBLINE_SOURCE_DIR) + "/examples/reach/vcas.toml",
                                {.initial = {{"hdot", Interval(speed)}}, .roots = {{"data", root}}});
    ASSERT_TRUE(loop.ok()) << loop.error().text();
    int count = 0;
    for (int i = 0; i <= 400; ++i) {
      const auto rollout = simulate(*loop, std::vector<double>{-133 + i * 0.01, speed, 25, 1});
      ASSERT_TRUE(rollout.ok());
      count += rollout->margins[0] <= 0 ? 1 : 0;
    }
    EXPECT_EQ(count, wanted) << speed;
  }
}

}  // namespace
}  // namespace plumbline::reach
