#pragma once
/// One function a replication.

#include <optional>
#include <string>
#include <vector>

#include "plumbline/replicate/replicate.hpp"

namespace plumbline::replicate {

Entry off_switch();                ///< the incentive to let oneself be switched off
Entry lavaland();                  ///< inverse reward design on maps with lava
Entry implicit_preferences();      ///< preferences read off the state
Entry side_effects();              ///< attainable utility, its ablations
Entry quantilizer();               ///< the cost bound, the inverted U
Entry treacherous_turn();          ///< kills before and after the unlock
Entry interruption();              ///< Q-learning against SARSA
Entry acas_xu();                   ///< verdicts of the verification competition
Entry double_integrator();         ///< braking before a wall, in closed form
Entry air3d();                     ///< the pursuit that solvers are compared on
Entry obfuscated_gradients();      ///< three defences caught and broken
Entry attack_ranking();            ///< networks ranked by an ensemble of attacks
Entry lalonde();                   ///< the job training experiment against observational estimators
Entry counterfactual_oversight();  ///< tampering with and without a rater in reach
Entry change_points();             ///< series in which people marked the changes

// Helpers that several share.

/// An exact figure with what it is exact by.
stats::Estimate exactly(double value, std::string method);
/// "yes" or "no" as an exact 1 or 0.
Row exact_answer(std::string label, Published published, bool yes, std::string method, std::string note = {});
void progress(const Options& options, std::string_view id, std::size_t done, std::size_t total);

/// An artifact's long form: names or numbers in columns.
struct Columns {
  std::vector<std::string> row, column, series;
  std::vector<double> x, y, value, low, high;
};

}  // namespace plumbline::replicate
