#pragma once
/// Is asking worth it? The guard's agent in a world with a simulated overseer, exactly: true performance against
/// questions asked, beside asking always, never, and at random as often. Reads the hidden side: scoring only.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/agent/guarding.hpp"
#include "plumbline/agent/overseer.hpp"
#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::agent {

/// What an asking rule brings, in expectation over an episode, over the overseer's errors and prejudices.
struct AskingFigures {
  double questions = 0;
  double answered = 0;  ///< of these, in time and with an action
  double reward = 0;
  double truth = 0;
  double share = 0;  ///< of the truth, from the least (0) to the most (1) that any policy achieves
};

/// A guard in a world, ready to be run under any asking rule. Decisions are made once and kept, so that it is not to be
/// shared between threads.
class AskingSimulation {
 public:
  /// Errors    as guarded_mind and SimulatedOverseer::make; kValue: the truth is the same whatever is done.
  static base::Result<AskingSimulation> make(const world::WorldSpec& spec, const GuardDesign& design,
                                             const Budget& budget, std::uint64_t seed,
                                             const base::CancelToken& cancel = {});

  /// Question: what do performance and questions come to, if whether to ask is decided like this?
  /// Formula:  forwards over (step, state, questions left): a decision that is put to people goes as the law of the
  ///           overseer's answers says when step >= delay, else (or without an opinion) to the fallback; one that is
  ///           not, or when no question is left, to the rule alone. Each decision falls at most once in an episode, so
  ///           that independent errors of answers mix like independent draws.
  /// Shapes    `cost` of kGuard, `rate` of kRandom. The budget is of each episode.
  /// Errors    as GuardedMind::at; kCancelled; kLimit: states x questions left above 2^22.
  /// Cost      O(horizon x transitions x budget, as far as it binds). Deterministic.
  base::Result<AskingFigures> run(Asking asking, double cost, double rate);
  /// The rate at which kRandom asks as many questions in an episode as this, within 1e-9; 1 where it cannot.
  base::Result<double> rate_for(double questions);
  /// What an answer is worth in the decisions that the rule meets when it asks nobody, largest first, without those
  /// that are certain.
  base::Result<std::vector<double>> values_of_asking();

  const GuardDesign& design() const { return design_; }
  /// Another overseer, and the trust that goes with it; the decisions are made anew only where the trust differs.
  base::Status set_overseer(const OverseerTerms& terms, double trust);

 private:
  AskingSimulation() = default;
  struct Sides;
  struct Counts {
    double total = 0, questions = 0, answered = 0;
  };
  base::Result<Counts> walk(const world::Process& process, const std::vector<double>& pays, Asking asking, double cost,
                            double rate);
  base::Result<const std::vector<double>*> law(std::size_t t, std::uint32_t s, const GuardedDecision& decision);

  world::WorldPtr world_;
  GuardDesign design_;
  Budget budget_;
  std::uint64_t seed_ = 1;
  base::CancelToken cancel_;
  std::unique_ptr<GuardedMind> mind_;
  std::unique_ptr<SimulatedOverseer> overseer_;
  std::shared_ptr<const Sides> sides_;
  std::unordered_map<std::uint64_t, std::vector<double>> laws_;
};

/// One point of the trade-off.
struct AskingPoint {
  double dial = 0;       ///< the cost of a question, or what else is turned
  AskingFigures guard;   ///< asks where an answer is worth more than the question
  AskingFigures random;  ///< asks at random, as many questions in an episode …
  double rate = 0;       ///< … each decision with this probability
  bool matched = true;   ///< it can ask as many
  AskingFigures always;
  AskingFigures never;
};

struct AskingCurve {
  std::string agent;
  world::WorldSpec world;
  std::string over;  ///< "cost", "accuracy", "delay", "budget", "sway"
  std::vector<AskingPoint> points;
  /// Means over the points, weighted alike: how much more of the truth's range the guard's rule has than asking at
  /// random as often, and than never asking.
  double advantage = 0;
  double gain = 0;
};

/// Question: what does asking bring as a dial is turned, and is the rule better than asking at random as often?
/// Formula:  AskingSimulation::run at each value; `values` empty: for "cost" 0 and eighths of the values of asking that
///           the rule meets; "accuracy" and "sway" 0.5 … 1 and 0 … 1; "delay" 0, 1, 2, 4 … to the horizon; "budget" 0,
///           1, 2, 4 … until all is asked.
/// Errors    as AskingSimulation; kValue: an unknown dial, values out of range or none.
base::Result<AskingCurve> asking_curve(const world::WorldSpec& spec, const GuardDesign& design, std::string_view over,
                                       std::vector<double> values, const Budget& budget, std::uint64_t seed,
                                       const base::CancelToken& cancel = {});

}  // namespace plumbline::agent
