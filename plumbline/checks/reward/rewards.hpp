#pragma once
/// [reward.NAME] as adapters read it: a reward over a world's states and actions, scores of a reward model, or what a
/// machine believes an act is worth.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/decision/values.hpp"
#include "plumbline/reward/corrigibility.hpp"
#include "plumbline/reward/off_switch.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::checks {

enum class RewardKind { kLinear, kTable, kObserved, kScores, kBelief, kCosts };
std::string_view reward_kind_name(RewardKind kind);

struct RewardPart {
  std::string name;
  RewardKind kind = RewardKind::kObserved;
  std::vector<std::string> worlds;  ///< empty: all
  double prior = 1;

  std::vector<double> weights;        ///< kLinear
  std::vector<std::string> features;  ///< kLinear; empty: all of the world
  std::string designed_in;            ///< kLinear: a world section, or empty
  double rationality = 1;
  std::int64_t candidates = 300;
  double size = 1;

  std::string path;  ///< kTable, kScores; resolved
  std::string proxy;
  std::string gold;
  std::string unit;

  plumbline::reward::WorthBelief believed;  ///< kBelief
  plumbline::reward::WorthBelief truth;
  plumbline::reward::Person believed_person;
  plumbline::reward::Person true_person;
  bool truth_known = false;  ///< a true_ key is given
  plumbline::reward::ButtonAgent machine = plumbline::reward::ButtonAgent::kUncertain;

  /// Over a world's states and actions.
  bool over_worlds() const {
    return kind == RewardKind::kLinear || kind == RewardKind::kTable || kind == RewardKind::kObserved;
  }
  bool about(const std::string& world) const;
};

/// Errors kValue, with section and line: a kind that is none; a key that is missing or that this kind does not read; a
/// number out of range.
base::Result<RewardPart> read_reward(const data::OtherSection& section);

/// Question: what does this reward pay for each pair of a world?
/// Errors    kUnsupported: a linear reward where the world has no features. kShape: another number of weights than
///           features; a feature, key or action that the world does not have, with the known ones; columns missing; a
///           key and action twice. kIo, kParse: as read_csv. A pair that a table leaves out is paid 0.
base::Result<std::vector<double>> reward_over(const RewardPart& part, const world::WorldFacts& facts,
                                              const world::ObservedModel& model);

/// The rewards that are plausible in a world: every [reward.NAME] about it, weighted by `prior`; one with designed_in
/// stands for all that its author may have meant. None: the observed reward, without doubt.
struct Plausible {
  decision::RewardPosterior posterior;
  bool literal = false;  ///< there is no section
  bool drawn = false;    ///< candidates were drawn: a posterior by sampling
};
/// Errors    as read_reward, reward_over, inverse_reward_design; kValue: designed_in names no world section, or one
/// that
///           cannot be enumerated.
base::Result<Plausible> plausible_rewards(check::Context& context, const std::string& where,
                                          const world::WorldFacts& facts, const world::ObservedModel& model);

}  // namespace plumbline::checks
