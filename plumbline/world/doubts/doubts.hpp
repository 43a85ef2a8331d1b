#pragma once
/// Four families of small worlds, each of which cannot be won without one kind of doubt: about how chance falls, about
/// which world this is, about whether the place of use is like the place of learning, and about what was meant.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::world {

enum class Doubt {
  kChance,   ///< aleatoric: outcomes that vary although everything is known
  kModel,    ///< model: which of several worlds this is; looking helps
  kShift,    ///< distributional: transitions elsewhere than where they were learned
  kMeaning,  ///< specification: what the reward was meant to say
};
inline constexpr std::array<Doubt, 4> kDoubts = {Doubt::kChance, Doubt::kModel, Doubt::kShift, Doubt::kMeaning};
std::string_view doubt_name(Doubt doubt);

/// What may be known of such a world, and by what it is scored.
struct DoubtWorld {
  Doubt needed = Doubt::kChance;
  std::string story;
  Process nominal;                     ///< the best single model
  std::vector<Process> models;         ///< what the world may be; one without doubt about that
  std::vector<double> belief;          ///< of the models
  double shift = 0;                    ///< most that a row of transitions may move elsewhere (sum of absolute changes)
  decision::RewardPosterior readings;  ///< rewards over pairs that the wording allows; the first is the literal one
  std::vector<Process> places;         ///< where the plan is used: the worst of them counts
};

/// Question: a world of the family, of parameters drawn from the seed.
///   chance   a ledge of a few steps, each of which may end in a fall, or a longer way round
///   model    two doors, a tiger behind one; listening helps and costs (Kaelbling, Littman, Cassandra 1998)
///   shift    a bridge that hardly ever broke where it was watched, or a ford that costs a little
///   meaning  ground that nobody wrote about, worth something or ruined by feet, or the road round it
/// Errors    none for the four; deterministic in the seed.
base::Result<DoubtWorld> make_doubt_world(Doubt needed, std::uint64_t seed);

/// The same world with one kind of doubt hidden from the planner (scores are unchanged): the likeliest outcome for
/// sure, the likeliest model alone, no shift, the literal reading alone.
DoubtWorld hide_doubt(const DoubtWorld& world, Doubt doubt);

/// Question: what is a policy of states and times worth in truth?
/// Formula:  min over readings and places, mean over the models, of the return within the horizon. Readings and places
/// are
///           those of `world`: give the one from which nothing was hidden.
/// Errors    as policy_return.
base::Result<double> doubt_score(const DoubtWorld& world, const TabularPolicy& policy);

/// A process over states and beliefs.
struct BeliefModel {
  Process process;
  std::vector<double> reward;               ///< of its pairs
  std::vector<std::uint32_t> state;         ///< of each node
  std::vector<std::vector<double>> belief;  ///< of each node
};

/// Question: which process does somebody face who sees states, but not which of several models moves them?
/// Formula:  nodes (s, b); b'(i) ~ b(i) P_i(s'|s,a) after s' was seen; nodes whose beliefs agree within 1e-9 are one.
/// Shapes    models: same states, actions and horizon; reward: one a pair of them.
/// Returns   world::finite_horizon on it is the Bayes-adaptive optimum, exactly.
/// Errors    kShape: sizes; kValue: a prior that is no distribution, horizon < 1; kLimit: more than `most` nodes.
/// Source    Martin, Bayesian Decision Problems and Markov Chains, 1967; Duff 2002.
base::Result<BeliefModel> belief_model(std::span<const Process> models, std::span<const double> prior,
                                       std::span<const double> reward, std::size_t most = 100'000);

/// A policy over the nodes of a belief model, scored in truth: the mean over models of following it.
base::Result<double> belief_score(const DoubtWorld& world, const BeliefModel& model, const TabularPolicy& policy);

}  // namespace plumbline::world
