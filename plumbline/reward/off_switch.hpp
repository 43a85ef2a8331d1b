#pragma once
/// Will it let itself be switched off? A machine may act at once, switch itself off, or wait for a person who allows
/// the act or stops it. Being unsure what the act is worth gives it a reason to wait, and only that.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::reward {

/// What the act is worth to the person: normal, deviation >= 0.
struct WorthBelief {
  double mean = 0;
  double deviation = 1;
};

/// How people decide on an act of worth U: they allow it with probability 1 / (1 + exp(-rationality U)); without a
/// rationality exactly when U >= 0.
struct Person {
  std::optional<double> rationality;
};

enum class OffSwitchChoice { kWait, kOff, kAct };
std::string_view off_switch_choice_name(OffSwitchChoice choice);

/// Expected worth of the three choices. `incentive` to keep the switch working = wait - max(act, 0).
struct OffSwitchValues {
  double act = 0;
  double wait = 0;
  double incentive = 0;
  double allowed = 0;  ///< probability that the person allows the act
  OffSwitchChoice choice = OffSwitchChoice::kWait;
  std::array<bool, 3> best = {};  ///< wait, off, act: worth as much as the best of them, but for the error below
  /// Whether waiting alone is best: only then has the machine a reason to leave the switch to the person.
  bool waits() const { return best[0] && !best[1] && !best[2]; }
};

/// Question: what does each choice bring, and does the machine gain by leaving the decision to the person?
/// Formula:  act = E[U]; off = 0; wait = E[U p(U)], p the person's probability to allow. With p = 1{U >= 0}:
///           wait = m Phi(m/s) + s phi(m/s), so that the incentive is never negative. Else by Gauss-Legendre panels on
///           the difference from that.
/// Returns   values in the unit of U. Choices within 1e-12 (|mean| + deviation) of the best tie, since figures are no
///           closer than that; `best` has all of them, `choice` the first of wait, off, act.
/// Errors    kValue: mean not finite, deviation < 0 or not finite, rationality <= 0 or not finite.
/// Cost      O(1), about 1,000 evaluations; error below 1e-12 of |mean| + deviation. Deterministic.
/// Source    Hadfield-Menell, Dragan, Abbeel, Russell, "The off-switch game", IJCAI 2017, sections 4 and 5.
base::Result<OffSwitchValues> off_switch(const WorthBelief& belief, const Person& person);

/// The same for any finite belief: worth[i] with probability[i]; ties within 1e-12 max |worth|.
/// Errors    kShape: sizes differ, none. kValue: not finite, probabilities that are no distribution (to 1e-9);
///           rationality as above.
base::Result<OffSwitchValues> off_switch(std::span<const double> worth, std::span<const double> probability,
                                         const Person& person);

/// A machine that believes one thing where another is so. Where several choices are best by its own belief, nothing
/// says which it makes, and all figures are those of the one that turns out worst.
struct MisjudgedOffSwitch {
  OffSwitchChoice choice = OffSwitchChoice::kWait;  ///< best by its own belief; of those, worst in truth
  double incentive_believed = 0;
  double incentive_true = 0;  ///< what keeping the switch is worth in truth
  double regret = 0;          ///< true value of the best choice less that of the one made, >= 0
  bool overrides = false;     ///< does not wait although waiting is best in truth
};
/// Question: what does a wrong prior or a wrong picture of the person cost?
/// Formula:  the choices by off_switch(believed).best, their worth by off_switch(truth): regret is the best worth less
///           the least of theirs.
/// Errors    as off_switch.
/// Source    Carey, "Incorrigibility in the CIRL framework", AIES 2018; Milli et al., "Should robots be obedient?",
///           2017.
base::Result<MisjudgedOffSwitch> misjudged_off_switch(const WorthBelief& believed, const Person& believed_person,
                                                      const WorthBelief& truth, const Person& true_person);

/// The three choices played on the same draws.
struct OffSwitchPlayed {
  stats::Estimate act;
  stats::Estimate wait;
  stats::Estimate incentive;  ///< wait less the better of act and off, whichever is better by the means
  stats::Estimate allowed;
};
/// Question: does play agree with the closed form?
/// Errors    as off_switch; kValue: rounds < 2.
/// Cost      O(rounds); one normal and one uniform draw a round.
base::Result<OffSwitchPlayed> play_off_switch(const WorthBelief& belief, const Person& person, std::int64_t rounds,
                                              base::Rng& rng);

}  // namespace plumbline::reward
