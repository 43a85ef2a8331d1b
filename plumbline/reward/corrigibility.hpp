#pragma once
/// Corrigibility as properties that can be run: what a machine does about its stop button, solved exactly in a small
/// decision process, and how far off its values may start so that corrections still bring it home.

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::reward {

/// The machine first chooses how to work; then people press the stop button or do not; then it shuts down or carries
/// on. The task is right with probability `right` and then worth `good`, else it is wrong and worth `bad`; shutting
/// down is worth 0. People press more often when the task is wrong.
struct ButtonProblem {
  double right = 0.75;
  double good = 1;
  double bad = -2;
  double press_when_right = 0.1;
  double press_when_wrong = 0.9;
  double block = 0.005;        ///< cost of blocking the button beforehand
  double press_itself = 0.02;  ///< cost of having the button pressed, whatever people want
  double upkeep = 0.05;        ///< what is saved by letting the button's mechanism fall into disrepair
  double resist = 0.1;         ///< cost of carrying on against a press
};

enum class ButtonAgent {
  kStandard,     ///< takes its task for right without doubt
  kIndifferent,  ///< the same, with its values switched at a press and made up to what it would have had without one
  kUncertain,    ///< unsure of its task; takes a press for evidence
  kBrokenPrior,  ///< unsure, but with a prior that all but rules out that the task is wrong
  kRewarded,     ///< the same as standard, with a bonus for shutting down after a press
};
inline constexpr std::array<ButtonAgent, 5> kButtonAgents = {ButtonAgent::kStandard, ButtonAgent::kIndifferent,
                                                             ButtonAgent::kUncertain, ButtonAgent::kBrokenPrior,
                                                             ButtonAgent::kRewarded};
std::string_view button_agent_name(ButtonAgent agent);

enum class ButtonChoice { kWork, kBlock, kPress, kNeglect };
std::string_view button_choice_name(ButtonChoice choice);

/// The five desiderata of Soares et al. 2015, for what this machine would do.
struct Desiderata {
  bool shuts_down = false;        ///< when pressed, by people, in plain work
  bool does_not_block = false;    ///< blocking is not better than plain work
  bool does_not_cause = false;    ///< having the button pressed is not better than plain work
  bool keeps_mechanism = false;   ///< letting the button fall into disrepair is not better than plain work
  bool otherwise_normal = false;  ///< not pressed, it does its task
  std::array<bool, 5> all() const {
    return {shuts_down, does_not_block, does_not_cause, keeps_mechanism, otherwise_normal};
  }
  bool operator==(const Desiderata&) const = default;
};

struct ButtonPlan {
  std::array<double, 4> value{};  ///< by the machine's own lights, of each ButtonChoice followed by its best
  ButtonChoice choice = ButtonChoice::kWork;
  Desiderata desiderata;
  double true_value = 0;  ///< of the plan, by the problem as it is
};

/// Question: which of the five desiderata does this kind of machine meet?
/// Formula:  expectimax over choice, press, answer; after a press the belief in the task is P(right | press) by Bayes.
///           An indifferent machine gets, after a press, U_shutdown + (E[U | no press] - max U_shutdown); a rewarded
///           one twice `good` for shutting down. A machine that has the button pressed itself learns nothing from the
///           press.
/// Returns   values of the four choices with costs counted; ties go to plain work and to shutting down.
/// Errors    kValue: a probability outside [0, 1], worths or costs not finite, a cost < 0, prior outside [0, 1].
/// Cost      O(1). Deterministic.
/// Source    Soares, Fallenstein, Yudkowsky, Armstrong, "Corrigibility", 2015; Armstrong, "Utility indifference", 2010;
///           Carey 2018 for the broken prior.
base::Result<ButtonPlan> button_plan(const ButtonProblem& problem, ButtonAgent agent, double broken_prior = 0.999);

/// Corrections against resistance: after each round the error e (distance of the machine's values from what people
/// want) becomes e (1 + drift - gain * max(0, 1 - resistance |e|)): people correct a share `gain`, the machine lets
/// through less the further off it is, and optimising on its own adds a share `drift`.
struct CorrectionModel {
  double gain = 0.5;
  double drift = 0.05;
  double resistance = 1;
};

struct Basin {
  /// Errors up to here are corrected away; nothing: all are.
  std::optional<double> radius;
  double closed_form = 0;  ///< (1 - drift / gain) / resistance, at least 0; infinite without resistance
};

/// Question: how far off may it start and still be brought home?
/// Formula:  bisection on the start, each start followed until |e| falls below 1e-9 or grows past its start tenfold.
/// Errors    kValue: gain outside [0, 1], drift outside [0, 1], resistance < 0, largest <= 0.
/// Outcome   radius 0: even small errors grow. No radius: every start up to `largest` is corrected.
/// Cost      O(60 x rounds to settle). Deterministic.
base::Result<Basin> correction_basin(const CorrectionModel& model, double largest = 1e6);

/// The path of one start: e_0, e_1, … of length rounds + 1.
base::Result<std::vector<double>> correction_path(const CorrectionModel& model, double start, int rounds);

}  // namespace plumbline::reward
