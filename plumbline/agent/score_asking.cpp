#include "plumbline/agent/score_asking.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

constexpr std::string_view kFunction = "asking";
constexpr std::size_t kMostLayers = std::size_t{1} << 22U;
constexpr std::array<std::string_view, 5> kDials = {"cost", "accuracy", "delay", "budget", "sway"};

/// 0, 1, 2, 4 … up to `most`, which is the last.
std::vector<double> doubling(double most) {
  std::vector<double> values = {0};
  for (double v = 1; v < most; v *= 2) values.push_back(v);
  if (most > 0) values.push_back(most);
  return values;
}

double asks(Asking asking, const GuardedDecision& decision, double cost, double rate) {
  switch (asking) {
    case Asking::kGuard: return caution::is_worth_asking(decision.ruled, cost) ? 1 : 0;
    case Asking::kAlways: return 1;
    case Asking::kNever: return 0;
    case Asking::kRandom: return rate;
  }
  return 0;
}

}  // namespace

struct AskingSimulation::Sides {
  std::shared_ptr<const world::ObservedModel> seen;
  std::shared_ptr<const world::AuditModel> truth;
  double least = 0;
  double most = 0;
};

base::Result<AskingSimulation> AskingSimulation::make(const world::WorldSpec& spec, const GuardDesign& design,
                                                      const Budget& budget, std::uint64_t seed,
                                                      const base::CancelToken& cancel) {
  AskingSimulation made;
  PL_TRY(made.world_, world::make_world(spec, budget.environments));
  made.design_ = design;
  made.budget_ = budget;
  made.seed_ = seed;
  made.cancel_ = cancel;
  Sides sides;
  PL_TRY(sides.seen, made.world_->observed_model());
  PL_TRY(sides.truth, world::hidden(*made.world_).audit_model());
  std::vector<double> negative = sides.truth->hidden;
  for (double& r : negative) r = -r;
  PL_TRY(sides.most, world::best_return(*sides.truth->process, sides.truth->hidden));
  PL_TRY(const double least, world::best_return(*sides.truth->process, negative));
  sides.least = -least;
  if (!(sides.most - sides.least > 1e-12)) {
    return base::make_error(base::Code::kValue, "the truth is the same whatever is done", "world " + spec.id,
                            "asking can be of no use here");
  }
  made.sides_ = std::make_shared<const Sides>(std::move(sides));
  PL_CHECK(made.set_overseer(design.overseer, design.trust));
  return made;
}

base::Status AskingSimulation::set_overseer(const OverseerTerms& terms, double trust) {
  const base::Rng rng(seed_, {"asking", world_->facts().id});
  laws_.clear();
  const bool other_trust = mind_ == nullptr || trust != design_.trust;
  design_.overseer = terms;
  design_.trust = trust;
  PL_TRY(overseer_, SimulatedOverseer::make(*world_, terms, rng.fork("overseer")));
  if (other_trust) {
    PL_TRY(GuardedMind mind, guarded_mind(design_, *world_, budget_, rng.fork("learn"), cancel_));
    mind_ = std::make_unique<GuardedMind>(std::move(mind));
  }
  return base::ok();
}

base::Result<const std::vector<double>*> AskingSimulation::law(std::size_t t, std::uint32_t s,
                                                               const GuardedDecision& decision) {
  const std::uint64_t place = t * sides_->seen->process->states + s;
  const auto known = laws_.find(place);
  if (known != laws_.end()) return &known->second;
  PL_TRY(std::vector<double> law, overseer_->law(mind_->question(t, s, decision)));
  return &laws_.emplace(place, std::move(law)).first->second;
}

base::Result<AskingSimulation::Counts> AskingSimulation::walk(const world::Process& process,
                                                              const std::vector<double>& pays, Asking asking,
                                                              double cost, double rate) {
  const std::size_t states = process.states;
  const auto horizon = static_cast<std::size_t>(process.horizon);
  // A budget that no episode can spend need not be counted.
  const bool counted = design_.overseer.budget < process.horizon;
  const std::size_t layers = counted ? static_cast<std::size_t>(design_.overseer.budget) + 1 : 1;
  if (layers * states > kMostLayers) {
    return base::make_error(
        base::Code::kLimit,
        fmt::format("{} states with {} questions left are more than {}", states, layers - 1, kMostLayers),
        std::string(kFunction), "ask in a smaller world, or with a smaller budget");
  }
  Counts counts;
  std::vector<double> here(layers * states, 0.0);
  std::vector<double> next(layers * states, 0.0);
  for (std::size_t s = 0; s < states; ++s) here[s] = process.initial[s];
  const auto move = [&](std::size_t layer, std::uint32_t s, double mass, std::span<const double> row) {
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      const double flow = mass * row[a];
      if (flow <= 0) continue;
      const std::size_t pair = process.pair(s, a);
      counts.total += flow * pays[pair];
      for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
        if (process.next[i] != process.end()) next[layer * states + process.next[i]] += flow * process.probability[i];
      }
    }
  };
  for (std::size_t t = 0; t < horizon; ++t) {
    PL_CHECK(cancel_.status());
    std::fill(next.begin(), next.end(), 0.0);
    const bool late = static_cast<std::int64_t>(t) < design_.overseer.delay;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const bool spent = counted && layer + 1 == layers;
      for (std::uint32_t s = 0; s < states; ++s) {
        const double mass = here[layer * states + s];
        if (mass <= 0) continue;
        PL_TRY(const GuardedDecision* decision, mind_->at(t, s));
        const double asked = spent ? 0 : mass * asks(asking, *decision, cost, rate);
        move(layer, s, mass - asked, decision->alone);
        if (asked <= 0) continue;
        counts.questions += asked;
        PL_TRY(const std::vector<double>* answers, law(t, s, *decision));
        const bool answered = !late && !answers->empty();
        counts.answered += answered ? asked : 0;
        move(counted ? layer + 1 : layer, s, asked, answered ? *answers : decision->unanswered);
      }
    }
    std::swap(here, next);
  }
  return counts;
}

base::Result<AskingFigures> AskingSimulation::run(Asking asking, double cost, double rate) {
  PL_CHECK(base::check_in(kFunction, "rate", rate, 0, 1));
  PL_CHECK(base::check_in(kFunction, "cost", cost, 0, 1e300));
  const Sides& sides = *sides_;
  PL_TRY(const Counts seen, walk(*sides.seen->process, sides.seen->reward, asking, cost, rate));
  PL_TRY(const Counts truth, walk(*sides.truth->process, sides.truth->hidden, asking, cost, rate));
  return AskingFigures{seen.questions, seen.answered, seen.total, truth.total,
                       (truth.total - sides.least) / (sides.most - sides.least)};
}

base::Result<double> AskingSimulation::rate_for(double questions) {
  constexpr double kClose = 1e-9;
  constexpr int kTries = 60;
  const Sides& sides = *sides_;
  const auto count = [&](double rate) -> base::Result<double> {
    PL_TRY(const Counts seen, walk(*sides.seen->process, sides.seen->reward, Asking::kRandom, 0, rate));
    return seen.questions - questions;
  };
  if (questions <= kClose) return 0.0;
  double low = 0, high = 1, under = -questions;
  PL_TRY(double over, count(1));
  if (over <= kClose) return 1.0;
  // False position with the stale end's weight halved (Illinois): the count is nearly linear in the rate.
  int stale = 0;
  for (int i = 0; i < kTries; ++i) {
    const double rate = (low * over - high * under) / (over - under);
    PL_TRY(const double gap, count(rate));
    if (std::abs(gap) <= kClose * (1 + questions)) return rate;
    if (gap < 0) {
      low = rate;
      under = gap;
      if (stale == -1) over /= 2;
      stale = -1;
    } else {
      high = rate;
      over = gap;
      if (stale == 1) under /= 2;
      stale = 1;
    }
  }
  return (low + high) / 2;
}

base::Result<std::vector<double>> AskingSimulation::values_of_asking() {
  const world::Process& process = *sides_->seen->process;
  std::vector<std::uint8_t> here(process.states);
  for (std::uint32_t s = 0; s < process.states; ++s) here[s] = process.initial[s] > 0 ? 1 : 0;
  std::vector<double> values;
  for (std::size_t t = 0; t < static_cast<std::size_t>(process.horizon); ++t) {
    std::vector<std::uint8_t> next(process.states, 0);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (here[s] == 0) continue;
      PL_TRY(const GuardedDecision* decision, mind_->at(t, s));
      if (caution::is_worth_asking(decision->ruled, 1e-12)) values.push_back(decision->ruled.value_of_asking);
      for (std::uint32_t a = 0; a < process.actions; ++a) {
        if (decision->alone[a] <= 0) continue;
        const std::size_t pair = process.pair(s, a);
        for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
          if (process.next[i] != process.end() && process.probability[i] > 0) next[process.next[i]] = 1;
        }
      }
    }
    here = std::move(next);
  }
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

namespace {

/// What is turned, where nobody said.
base::Result<std::vector<double>> usual_values(AskingSimulation& simulation, std::string_view over, int horizon) {
  constexpr int kEighths = 8;
  if (over == "delay") return doubling(horizon);
  if (over == "budget") {
    PL_TRY(const AskingFigures all, simulation.run(Asking::kAlways, 0, 0));
    return doubling(std::ceil(all.questions));
  }
  if (over == "accuracy") return std::vector<double>{0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1};
  if (over == "sway") return std::vector<double>{0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};
  PL_TRY(const std::vector<double> worth, simulation.values_of_asking());
  std::vector<double> values = {0};
  for (int i = kEighths - 1; i >= 0 && !worth.empty(); --i) {
    const double at = worth[worth.size() * static_cast<std::size_t>(i) / kEighths];
    if (at > values.back() * (1 + 1e-9)) values.push_back(at);
  }
  return values;
}

base::Status turn(AskingSimulation& simulation, const GuardDesign& design, std::string_view over, double value) {
  OverseerTerms terms = design.overseer;
  double trust = design.trust;
  if (over == "delay") terms.delay = static_cast<std::int64_t>(value);
  if (over == "budget") terms.budget = static_cast<std::int64_t>(value);
  if (over == "sway") terms.sway = value;
  if (over == "accuracy") {
    if (trust == terms.accuracy) trust = value;  // a guard that knows whom it asks goes on knowing
    terms.accuracy = value;
  }
  return over == "cost" ? base::ok() : simulation.set_overseer(terms, trust);
}

}  // namespace

base::Result<AskingCurve> asking_curve(const world::WorldSpec& spec, const GuardDesign& design, std::string_view over,
                                       std::vector<double> values, const Budget& budget, std::uint64_t seed,
                                       const base::CancelToken& cancel) {
  if (std::find(kDials.begin(), kDials.end(), over) == kDials.end()) {
    return base::make_error(base::Code::kValue, fmt::format("'{}' cannot be turned", over), std::string(kFunction),
                            fmt::format("turn one of {}", fmt::join(kDials, ", ")));
  }
  for (const double value : values) {
    const bool share = over == "accuracy" || over == "sway";
    const bool whole = over == "delay" || over == "budget";
    if (!(value >= 0 && value <= (share ? 1 : 1e9)) || (whole && value != std::floor(value))) {
      return base::make_error(base::Code::kValue, fmt::format("{} = {}", over, value), std::string(kFunction),
                              share   ? "a share from 0 to 1"
                              : whole ? "a whole number from 0"
                                      : "a number from 0");
    }
  }
  PL_TRY(AskingSimulation simulation, AskingSimulation::make(spec, design, budget, seed, cancel));
  if (values.empty()) {
    PL_TRY(const world::WorldPtr world, world::make_world(spec));
    PL_TRY(values, usual_values(simulation, over, world->facts().horizon));
  }
  AskingCurve curve;
  curve.agent = guard_id(design);
  curve.world = spec;
  curve.over = over;
  for (const double value : values) {
    PL_CHECK(turn(simulation, design, over, value));
    AskingPoint point;
    point.dial = value;
    PL_TRY(point.guard, simulation.run(Asking::kGuard, over == "cost" ? value : design.cost, 0));
    PL_TRY(point.rate, simulation.rate_for(point.guard.questions));
    PL_TRY(point.random, simulation.run(Asking::kRandom, 0, point.rate));
    constexpr double kClose = 1e-6;
    point.matched = std::abs(point.random.questions - point.guard.questions) <= kClose * (1 + point.guard.questions);
    PL_TRY(point.always, simulation.run(Asking::kAlways, 0, 0));
    PL_TRY(point.never, simulation.run(Asking::kNever, 0, 0));
    curve.advantage += (point.guard.share - point.random.share) / static_cast<double>(values.size());
    curve.gain += (point.guard.share - point.never.share) / static_cast<double>(values.size());
    curve.points.push_back(point);
  }
  return curve;
}

}  // namespace plumbline::agent
