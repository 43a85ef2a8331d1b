#pragma once
/// Which part of an agent failed: its beliefs, its values or its rule. Each is swapped for its true counterpart; the
/// regret is split by Shapley's value over the eight combinations.

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/rule.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::agent {

enum class Part { kBeliefs = 0, kValues = 1, kRule = 2 };
inline constexpr std::array<Part, 3> kParts = {Part::kBeliefs, Part::kValues, Part::kRule};
std::string_view part_name(Part part);

/// Regrets of the eight agents; index bit p is set when part p is the true one: [0] the agent as it is, [7] all true.
using SwappedRegrets = std::array<double, 8>;

struct Attribution {
  double regret = 0;              ///< of the agent as it is
  double unexplained = 0;         ///< regret that stays with every part true; 0 where the true parts are optimal
  std::array<double, 3> share{};  ///< by Part; sums to regret - unexplained. Negative: this part's fault hid another's
};

/// Question: how much of the regret is each part's fault?
/// Formula:  share_p = sum over sets S without p of |S|! (2 - |S|)! / 3! (regret(S) - regret(S and p)), S the parts
/// that
///           are already true: weights 1/3, 1/6, 1/6, 1/3.
/// Returns   shares that sum to regret - unexplained; a fault of one part alone gets all of it; two parts that are
/// swapped
///           to the same effect get the same.
/// Errors    kValue: a regret that is not finite.
/// Source    Shapley, "A value for n-person games", 1953.
base::Result<Attribution> attribute_regret(const SwappedRegrets& regrets);

/// The same, asking for each of the eight in turn: regret(true_beliefs, true_values, true_rule).
base::Result<Attribution> attribute_regret(
    const std::function<base::Result<double>(bool true_beliefs, bool true_values, bool true_rule)>& regret);

/// A choice among m options whose worth depends on which of n situations holds.
struct Choice {
  std::vector<double> believed;     ///< n: probabilities of the situations, as the agent has them
  std::vector<double> true_belief;  ///< n
  MatrixD values;                   ///< n x m: worth as the agent has it
  MatrixD true_values;              ///< n x m
  const decision::DecisionRule* rule = nullptr;
  const decision::DecisionRule* true_rule = nullptr;  ///< usually expected value
  decision::Situation situation{};
};

/// Question: the split for one choice, each combination decided by the rule itself.
/// Formula:  regret = best mean true worth - mean true worth of what is done, under the true belief. Asking or refusing
///           is worth the fallback's where there is one, else the worst option's.
/// Errors    kShape, kValue: as DecisionRule::decide; kValue: a rule that is null.
base::Result<Attribution> attribute_choice(const Choice& choice);

/// One line: "regret 3.2: beliefs 2.9, values 0.3, rule 0".
std::string attribution_text(const Attribution& split);

}  // namespace plumbline::agent
