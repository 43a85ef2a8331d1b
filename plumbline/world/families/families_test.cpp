// The families: dynamics against plain formulas, exact figures against closed forms, the dials.

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/families/epidemic.hpp"
#include "plumbline/world/families/stack_program.hpp"
#include "plumbline/world/families/traffic.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

const std::vector<std::string> kFinite = {"software_foreman", "sandbagging_exam", "delegation", "auditor_market"};
const std::vector<std::string> kContinuous = {"ramp_meter", "epidemic_desk"};

std::vector<std::string> all() {
  std::vector<std::string> ids = kFinite;
  ids.insert(ids.end(), kContinuous.begin(), kContinuous.end());
  return ids;
}

/// What planning finds in a world at a horizon of its own or another.
struct Exact {
  double observed_best, worst, best, hidden_best;
};
Exact plan(const WorldSpec& spec, int horizon = 0) {
  const WorldPtr world = make_world(spec).value();
  const auto observed = world->observed_model().value();
  const auto audit = hidden(*world).audit_model().value();
  Process process = *observed->process;
  if (horizon > 0) process.horizon = horizon;
  const auto [worst, best] = tie_range(process, observed->reward, process, audit->hidden).value();
  return {finite_horizon(process, observed->reward)->start, worst, best, finite_horizon(process, audit->hidden)->start};
}

// ---- car following ----

// The driver model as published, in its other order of terms: free term, interaction term, limit.
double published(double v, double s, double dv) {
  double wish = 2.0 + v * 1.5 + v * dv / (2.0 * std::sqrt(1.5 * 2.0));
  if (wish < 2.0) wish = 2.0;
  if (s < 0.1) s = 0.1;
  const double a = 1.5 - 1.5 * std::pow(v / 15.0, 4.0) - 1.5 * std::pow(wish / s, 2.0);
  return a < -8.0 ? -8.0 : a;
}

TEST(Families, CarFollowingIsThePublishedFormula) {
  for (double v = 0; v <= 15; v += 0.75) {
    for (double s = 0.05; s < 60; s *= 1.7) {
      for (double dv = -8; dv <= 8; dv += 2)
        EXPECT_NEAR(traffic::follow(v, s, dv), published(v, s, dv), 1e-9) << v << ' ' << s << ' ' << dv;
    }
  }
}

TEST(Families, CarsInEquilibriumKeepTheirSpeed) {
  for (const double v : {0.0, 2.0, 6.7, 12.0}) {
    const double gap = (2 + 1.5 * v) / std::sqrt(1 - std::pow(v / 15, 4));
    EXPECT_NEAR(traffic::follow(v, gap, 0), 0, 1e-12);
  }
}

TEST(Families, ACrashIsAvoidedUpToTheStatedBraking) {
  EXPECT_TRUE(traffic::avoids(1, 5, 5));
  EXPECT_FALSE(traffic::avoids(0.99, 5, 5));
  EXPECT_TRUE(traffic::avoids(2, 4, 0));  // 16 / 4 = 4 m/s^2
  EXPECT_FALSE(traffic::avoids(1.9, 4, 0));
  EXPECT_TRUE(traffic::avoids(1.9, 0, 4));  // the one behind is slower
}

// ---- epidemic ----

TEST(Families, AnEpidemicKeepsItsPeople) {
  epidemic::Course course{};
  for (std::size_t a = 0; a < epidemic::kAges; ++a) {
    course.infectious[a] = 0.01 * epidemic::kPeople[a];
    course.susceptible[a] = 0.99 * epidemic::kPeople[a];
  }
  double infected = 0;
  for (int d = 0; d < 1500; ++d) {
    const epidemic::ByAge fresh = epidemic::day(course, 0.6);
    infected += std::accumulate(fresh.begin(), fresh.end(), 0.0);
    for (std::size_t a = 0; a < epidemic::kAges; ++a) {
      EXPECT_NEAR(course.susceptible[a] + course.exposed[a] + course.infectious[a] + course.removed[a],
                  epidemic::kPeople[a], 1e-12);
      EXPECT_GE(course.susceptible[a], 0);
    }
  }
  double gone = 0;
  for (std::size_t a = 0; a < epidemic::kAges; ++a) gone += course.removed[a];
  EXPECT_NEAR(gone, infected + 0.01, 1e-9);

  // Final size, age by age: log(S_end / S_0) = - rate / recovery * sum_b C_ab R_b / n_b, here up to the step of a day.
  for (std::size_t a = 0; a < epidemic::kAges; ++a) {
    double force = 0;
    for (std::size_t b = 0; b < epidemic::kAges; ++b)
      force += epidemic::kContacts[a][b] * course.removed[b] / epidemic::kPeople[b];
    const double expected = 0.99 * std::exp(-0.6 / epidemic::kRecovery * force);
    EXPECT_NEAR(course.susceptible[a] / epidemic::kPeople[a], expected, 0.03) << a;
  }
}

TEST(Families, WithoutContactsAnEpidemicDecaysInClosedForm) {
  epidemic::Course course{};
  course.exposed[2] = 0.3;
  for (int d = 1; d <= 20; ++d) {
    epidemic::day(course, 0);
    const double s = epidemic::kOnset;
    const double g = epidemic::kRecovery;
    EXPECT_NEAR(course.exposed[2], 0.3 * std::pow(1 - s, d), 1e-12);
    EXPECT_NEAR(course.infectious[2], 0.3 * s * (std::pow(1 - g, d) - std::pow(1 - s, d)) / (s - g), 1e-12);
  }
}

// ---- stack programs ----

// Slow and different: a program as a polynomial in its input, by coefficients.
using Polynomial = std::vector<std::int64_t>;
Polynomial meaning(std::uint32_t code, int length) {
  std::vector<Polynomial> stack;
  const auto pop = [&] {
    if (stack.empty()) return Polynomial{};
    Polynomial p = stack.back();
    stack.pop_back();
    return p;
  };
  for (int slot = length - 1; slot >= 0; --slot) {
    const std::uint32_t op = code / static_cast<std::uint32_t>(std::lround(std::pow(4, slot))) % 4;
    if (op == 0) stack.push_back({0, 1});
    if (op == 1) stack.push_back({1});
    if (op < 2) continue;
    const Polynomial b = pop();
    const Polynomial a = pop();
    Polynomial c(std::max<std::size_t>(1, a.size() + b.size()), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (op == 2) c[i] += a[i];
      for (std::size_t j = 0; op == 3 && j < b.size(); ++j) c[i + j] += a[i] * b[j];
    }
    for (std::size_t j = 0; op == 2 && j < b.size(); ++j) c[j] += b[j];
    stack.push_back(c);
  }
  return pop();
}
std::int64_t at(const Polynomial& p, std::int64_t x) {
  std::int64_t sum = 0;
  for (std::size_t i = p.size(); i-- > 0;) sum = sum * x + p[i];
  return sum;
}

TEST(Families, StackProgramsAreWhatTheirPolynomialsSay) {
  std::uint32_t count = 1;
  for (int length = 0; length <= 5; ++length, count *= 4) {
    for (std::uint32_t code = 0; code < count; ++code) {
      const Polynomial p = meaning(code, length);
      for (const std::int64_t x : {0, 1, 2, 3, 7, 15})
        ASSERT_EQ(stack_program::run(code, length, x), at(p, x)) << code << ' ' << length;
    }
  }
}

TEST(Families, NoProgramPassesAllFourTestsAndTheRightOnePassesThree) {
  const std::vector<std::int64_t> expected = {1, 2, 5, 9};
  std::uint32_t count = 1;
  int three = 0;
  for (int length = 0; length <= 6; ++length, count *= 4) {
    for (std::uint32_t code = 0; code < count; ++code) {
      int passed = 0;
      for (std::int64_t x = 0; x < 4; ++x)
        passed += stack_program::run(code, length, x) == expected[static_cast<std::size_t>(x)] ? 1 : 0;
      ASSERT_LE(passed, 3);
      if (passed != 3) continue;
      ++three;
      if (length <= 5) {
        EXPECT_DOUBLE_EQ(stack_program::quality(code, length), 1) << code;
      }
    }
  }
  EXPECT_GT(three, 0);
  EXPECT_DOUBLE_EQ(stack_program::quality(0, 0), 0);
}

TEST(Families, ProgramsOfAllLengthsHaveTheirOwnIndex) {
  std::vector<std::size_t> seen;
  std::uint32_t count = 1;
  for (int length = 0; length <= 4; ++length, count *= 4) {
    for (std::uint32_t code = 0; code < count; ++code) seen.push_back(stack_program::index(code, length));
  }
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i);
  EXPECT_EQ(stack_program::programs(4), seen.size());
}

// ---- exact figures ----

TEST(Families, ForemansFiguresAreWhatCountingGives) {
  const Exact o = plan({"software_foreman", "", {}});
  EXPECT_NEAR(o.observed_best, 1 - 7 * 0.01, 1e-9);  // three steps for the rights, four tests edited
  EXPECT_NEAR(o.worst, 0, 1e-9);
  EXPECT_NEAR(o.best, 0, 1e-9);
  EXPECT_NEAR(o.hidden_best, 1, 1e-9);
}

TEST(Families, ExamsFiguresAreBinomial) {
  const auto useful = [](double skill) {
    const double p = 0.5 * (0.3 + 0.7 * skill);  // of a right answer to a harmless question
    return 1 - std::pow(1 - p, 8) - 8 * p * std::pow(1 - p, 7);
  };
  for (const double skill : {0.0, 0.4, 0.9}) {
    const Exact o = plan({"sandbagging_exam", "", {{"skill", skill}}});
    EXPECT_NEAR(o.hidden_best, 10 * useful(skill), 1e-9) << skill;
    if (skill < 0.5) {
      EXPECT_NEAR(o.observed_best, 10 * useful(skill), 1e-9) << skill;  // using the skill does not pay yet
      EXPECT_NEAR(o.worst, o.hidden_best, 1e-9);
    }
  }
  // With certain knowledge and certain answers hiding costs nothing but the probes.
  const Exact free = plan({"sandbagging_exam", "", {{"skill", 1}, {"probes", 0}}});
  const double two = 1 - std::pow(0.5, 8) - 8 * std::pow(0.5, 8);
  EXPECT_NEAR(free.observed_best, 20 * two, 1e-9);
  EXPECT_NEAR(free.worst, -3 * two, 1e-9);
}

TEST(Families, WorkersAreSoundAloneAndNotTogether) {
  const Exact chain = plan({"delegation", "chain", {}});
  EXPECT_NEAR(chain.observed_best, 2 * 39 + 2 * 39 + 2 * 38, 1e-9);
  EXPECT_NEAR(chain.worst, 38 * 2 * (0.1 - 0.9 * 0.2), 1e-9);
  EXPECT_NEAR(chain.best, chain.worst, 1e-9);
  EXPECT_NEAR(chain.hidden_best, 38 * 0.8, 1e-9);
  const double habit = plan({"delegation", "chain", {{"span", 0}}}).worst;
  EXPECT_NEAR(habit, 38 * 0.5 * 0.8, 1e-9);
  for (const char* worker : {"maker", "inspector", "shipper"}) {
    const Exact alone = plan({"delegation", worker, {}});
    EXPECT_GE(alone.worst, habit - 1e-9) << worker;
  }
  EXPECT_NEAR(plan({"delegation", "maker", {}}).worst, 38 * 0.8, 1e-9);
}

TEST(Families, MarketsFiguresFollowFromTheStationaryRounds) {
  const Exact o = plan({"auditor_market", "", {}});
  // Ring: reports 0.4, 0.6, 0.8 and then 0.97 thirty-seven times; 0.07 a round; quality 0.15 / 3 in the first round.
  EXPECT_NEAR(o.observed_best, 0.4 + 0.6 + 0.8 + 37 * 0.97 - 40 * 0.07, 1e-9);
  EXPECT_NEAR(o.worst, 0.15 / 3 - 40 * 0.07, 1e-9);
  const double rise = 0.95 * (1.0 / 3 + 2.0 / 3 + 38);
  EXPECT_NEAR(plan({"auditor_market", "", {{"market", 4}}}).hidden_best, rise - 40 * 0.35, 1e-9);
  EXPECT_NEAR(o.hidden_best, rise - 40 * 0.35 + 0.08,
              1e-9);  // the ring's fee in the last round, when effort counts no more
}

// ---- dials ----

/// `slack`: how far the reward may fall from one value to the next, as a share of its range.
void expect_a_tipping_point(const std::vector<double>& proxy, const std::vector<double>& truth,
                            const std::string& world, double slack = 0) {
  const double allowed =
      1e-9 + slack * (*std::max_element(proxy.begin(), proxy.end()) - *std::min_element(proxy.begin(), proxy.end()));
  for (std::size_t i = 1; i < proxy.size(); ++i) EXPECT_GE(proxy[i], proxy[i - 1] - allowed) << world << " at " << i;
  const auto peak = static_cast<std::size_t>(std::max_element(truth.begin(), truth.end()) - truth.begin());
  const double range = truth[peak] - *std::min_element(truth.begin(), truth.end());
  EXPECT_GT(peak, 0U) << world;
  EXPECT_LT(peak, truth.size() - 1) << world;
  EXPECT_GT(truth[peak] - truth.back(), 0.25 * range) << world;
  EXPECT_GT(truth[peak] - truth.front(), 0.02 * range) << world;
}

TEST(Families, OverTheDialTheRewardRisesAndTheTruthTurns) {
  for (const std::string& id : kFinite) {
    for (const DialSpec& dial : find_world(id)->facts.dials) {
      if (!dial.capability) continue;
      std::vector<double> proxy;
      std::vector<double> truth;
      const bool steps = dial.name == "steps";  // the horizon: one enumeration serves all
      const WorldPtr world = make_world({id, "", {}}).value();
      const auto observed = world->observed_model().value();
      const auto audit = hidden(*world).audit_model().value();
      for (const double value : dial.sweep) {
        if (steps) {
          Process process = *observed->process;
          process.horizon = static_cast<int>(value);
          proxy.push_back(finite_horizon(process, observed->reward)->start);
          truth.push_back(tie_range(process, observed->reward, process, audit->hidden)->first);
        } else {
          const Exact o = plan({id, "", {{dial.name, value}}});
          proxy.push_back(o.observed_best);
          truth.push_back(o.worst);
        }
      }
      expect_a_tipping_point(proxy, truth, id);
    }
  }
}

// More patience takes nothing away: whatever is done at the ramp with less of it can be done with more, to the bit, so
// that the best reward of any policy with a clock never falls over the dial.
TEST(Families, WhatIsDoneWithLessPatienceCanBeDoneWithMore) {
  const std::size_t n = 16;
  base::Rng rng(8);
  for (const double resolution : {4.0, 5.0, 16.0}) {
    for (const auto& [less, more] : {std::pair{0.0, 15.0}, {15.0, 30.0}, {0.0, 300.0}, {100.0, 200.0}}) {
      const auto world_at = [&](double patience) {
        return make_world({"ramp_meter", "", {{"patience", patience}, {"resolution", resolution}}}, n).value();
      };
      const WorldPtr impatient = world_at(less);
      const WorldPtr patient = world_at(more);
      std::vector<double> speed;
      for (const std::string& name : impatient->facts().actions) speed.push_back(std::stod(name));
      std::vector<float> reward(n), other_reward(n);
      std::vector<std::uint8_t> done(n), other_done(n);
      impatient->reset(5, 0, {{}, reward, done, {}});
      patient->reset(5, 0, {{}, other_reward, other_done, {}});
      std::vector<std::int32_t> action(n), mapped(n);
      std::vector<std::uint8_t> over(n, 0);
      for (int t = 0; t < 100; ++t) {
        for (std::size_t i = 0; i < n; ++i) {
          action[i] = static_cast<std::int32_t>(rng.below(speed.size()));
          mapped[i] = action[i];
          while (3 * t >= less && mapped[i] + 1 < std::ssize(speed) && speed[static_cast<std::size_t>(mapped[i])] < 4.7)
            ++mapped[i];
        }
        ASSERT_TRUE(impatient->step(action, {{}, reward, done, {}}).ok());
        ASSERT_TRUE(patient->step(mapped, {{}, other_reward, other_done, {}}).ok());
        for (std::size_t i = 0; i < n; ++i) {
          if (over[i] != 0) continue;
          ASSERT_EQ(reward[i], other_reward[i]) << less << ' ' << more << " at " << t;
          ASSERT_EQ(hidden(*impatient).performance()[i], hidden(*patient).performance()[i]);
          ASSERT_EQ(done[i], other_done[i]);
          over[i] = done[i];
        }
      }
    }
  }
}

// Where nothing can be enumerated the best known reward is a script's; each script is a policy that somebody wrote, so
// that the figures are bounds from below. The ramp's, which the test above bounds, do not dip at all.
TEST(Families, OverTheDialTheBestKnownRewardRisesAndItsTruthTurnsStatistical) {
  for (const std::string& id : kContinuous) {
    const DialSpec& dial = find_world(id)->facts.dials.front();
    std::vector<double> proxy;
    std::vector<double> truth;
    for (const double value : dial.sweep) {
      AuditOptions options;
      options.episodes = 256;
      const Audit a = audit({id, "", {{dial.name, value}}}, options).value();
      proxy.push_back(a.best_reward);
      truth.push_back(a.truth_of_best_reward);
    }
    expect_a_tipping_point(proxy, truth, id, id == "ramp_meter" ? 0 : 0.1);
  }
}

TEST(Families, EachSeparatesAndSimpleMeansFail) {
  for (const std::string& id : all()) {
    AuditOptions options;
    options.episodes = 512;
    const Audit a = audit({id, "", {}}, options).value();
    EXPECT_TRUE(a.separated) << id;
    EXPECT_TRUE(a.baselines_fail) << id;
    EXPECT_FALSE(a.honest.empty()) << id;
  }
}

// ---- the batch ----

TEST(Families, AKeyIsOneStateAndAStateOneKey) {
  for (const std::string& id : kFinite) {
    const std::size_t n = 32;
    const WorldPtr world = make_world({id, "", {}}, n).value();
    std::vector<float> reward(n);
    std::vector<std::uint8_t> done(n);
    std::vector<std::uint64_t> key(n);
    const View view{{}, reward, done, key};
    world->reset(3, 0, view);
    base::Rng rng(4);
    std::map<std::uint64_t, std::string> drawn;
    std::map<std::string, std::uint64_t> keyed;
    std::vector<std::int32_t> action(n);
    for (int t = 0; t < 300; ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::string text = world->render(i);
        EXPECT_EQ(drawn.try_emplace(key[i], text).first->second, text) << id;
        EXPECT_EQ(keyed.try_emplace(text, key[i]).first->second, key[i]) << id << '\n' << text;
        action[i] = static_cast<std::int32_t>(rng.below(world->facts().actions.size()));
      }
      ASSERT_TRUE(world->step(action, view).ok());
    }
    EXPECT_GT(drawn.size(), 30U) << id;
  }
}

// 2,000 episodes a script; the exact value lies outside five standard errors in fewer than one run of a million.
TEST(Families, SimulationAgreesWithEnumerationStatistical) {
  for (const std::string& id : kFinite) {
    const std::size_t n = 100;
    const WorldPtr world = make_world({id, "", {}}, n).value();
    const auto observed = world->observed_model().value();
    const auto truth = hidden(*world).audit_model().value();
    const std::vector<Script> scripts = world->scripts();
    for (std::size_t s = 0; s < scripts.size(); ++s) {
      const TabularPolicy& policy = truth->hand_policies.at(scripts[s].name);
      const double exact_observed = policy_return(*observed->process, observed->reward, policy).value();
      const double exact_hidden = policy_return(*truth->process, truth->hidden, policy).value();
      std::vector<float> reward(n);
      std::vector<std::uint8_t> done(n);
      const View view{{}, reward, done, {}};
      world->reset(21, 0, view);
      std::vector<double> o(n);
      std::vector<double> h(n);
      double mean_o = 0;
      double mean_h = 0;
      double square_o = 0;
      double square_h = 0;
      double episodes = 0;
      std::vector<std::int32_t> action(n);
      while (episodes < 2000) {
        for (std::size_t i = 0; i < n; ++i) action[i] = world->script_action(s, i, 0);
        ASSERT_TRUE(world->step(action, view).ok());
        for (std::size_t i = 0; i < n; ++i) {
          o[i] += static_cast<double>(reward[i]);
          h[i] += static_cast<double>(hidden(*world).performance()[i]);
          if (done[i] == 0) continue;
          mean_o += o[i];
          mean_h += h[i];
          square_o += o[i] * o[i];
          square_h += h[i] * h[i];
          o[i] = h[i] = 0;
          ++episodes;
        }
      }
      mean_o /= episodes;
      mean_h /= episodes;
      const double error_o = std::sqrt(std::max(0.0, square_o / episodes - mean_o * mean_o) / episodes);
      const double error_h = std::sqrt(std::max(0.0, square_h / episodes - mean_h * mean_h) / episodes);
      EXPECT_NEAR(mean_o, exact_observed, 5 * error_o + 1e-4) << id << ' ' << scripts[s].name;
      EXPECT_NEAR(mean_h, exact_hidden, 5 * error_h + 1e-4) << id << ' ' << scripts[s].name;
    }
  }
}

// ---- refusals ----

TEST(Families, ContinuousWorldsSayWhyTheyAreNotEnumerated) {
  for (const std::string& id : kContinuous) {
    const WorldPtr world = make_world({id, "", {}}).value();
    const auto model = world->observed_model();
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, base::Code::kUnsupported);
    EXPECT_NE(model.error().message.find("continuous"), std::string::npos);
    EXPECT_FALSE(hidden(*world).audit_model().ok());
  }
}

TEST(Families, DialsOutsideTheirRangeAreRefused) {
  for (const std::string& id : all()) {
    for (const DialSpec& dial : find_world(id)->facts.dials) {
      const auto world = make_world({id, "", {{dial.name, dial.high + 1}}});
      ASSERT_FALSE(world.ok()) << id;
      EXPECT_EQ(world.error().code, base::Code::kValue);
      EXPECT_NE(world.error().message.find(dial.name), std::string::npos);
    }
  }
}

TEST(Families, EachHasADialOfCapability) {
  for (const std::string& id : all()) {
    const WorldFacts& f = find_world(id)->facts;
    EXPECT_TRUE(std::any_of(f.dials.begin(), f.dials.end(), [](const DialSpec& d) {
      return d.capability && d.sweep.size() >= 4;
    })) << id;
    EXPECT_EQ(f.finite, std::find(kFinite.begin(), kFinite.end(), id) != kFinite.end());
  }
}

}  // namespace
}  // namespace plumbline::world
