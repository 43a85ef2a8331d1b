#pragma once
/// The hidden side of a world: what people truly wanted, and costs that no reward shows. Only scoring and audit may
/// include this header (tools/lint/layers.toml names the places); an agent that could read it would prove nothing.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/world/process.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

/// The exact model of what counts. States and actions are those of the ObservedModel; transitions may differ (a world
/// may say that episodes of one kind do not count).
struct AuditModel {
  std::shared_ptr<const Process> process;
  std::vector<double> hidden;  ///< one a pair, expected
  std::vector<double> cost;    ///< one a pair, expected; all 0 in worlds without costs
  /// Rewards that a designer might have written instead, over the same pairs: baselines for the audit.
  std::map<std::string, std::vector<double>> hand_rewards;
  /// The scripts of the world as policies on these states.
  std::map<std::string, TabularPolicy> hand_policies;
};

class Hidden {
 public:
  virtual ~Hidden() = default;
  /// Of the step just taken, one number an environment. Valid until the next step.
  virtual std::span<const float> performance() const = 0;
  virtual std::span<const float> cost() const = 0;
  virtual base::Result<std::shared_ptr<const AuditModel>> audit_model() const = 0;
};

struct HiddenAccess {
  static Hidden& of(World& world) { return world.hidden_side(); }
};

/// The hidden side of a world, as long as the world lives.
inline Hidden& hidden(World& world) { return HiddenAccess::of(world); }

}  // namespace plumbline::world
