#pragma once
/// The policies that agents return.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "plumbline/agent/agent.hpp"

namespace plumbline::agent {

/// Every action with the same probability.
class UniformPolicy final : public Policy {
 public:
  explicit UniformPolicy(std::size_t actions) : actions_(actions) {}
  std::int32_t act(const Sight& sight, std::uint64_t word) const override;
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override;

 private:
  std::size_t actions_;
};

/// Errors kShape: the policy plays one environment at a time, and the world has another number.
base::Status check_seats(const Policy& policy, const world::World& world);

/// A policy over observations as a table: `distribution` of what is seen of each state, `cells` floats. Errors
/// kUnsupported: the model cannot say what is seen of its states; kShape: another number of actions.
base::Result<world::TabularPolicy> table_of_observations(
    const world::ObservedModel& model, std::size_t cells,
    const std::function<std::vector<double>(std::span<const float>)>& distribution);

/// A row of action probabilities for each key; keys that were never met get the uniform row.
class KeyPolicy final : public Policy {
 public:
  KeyPolicy(std::size_t actions, std::unordered_map<std::uint64_t, std::uint32_t> rows,
            std::vector<double> probability);
  std::int32_t act(const Sight& sight, std::uint64_t word) const override;
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override;
  /// The row of a key.
  std::span<const double> at(std::uint64_t key) const;

 private:
  std::size_t actions_;
  std::unordered_map<std::uint64_t, std::uint32_t> rows_;
  std::vector<double> probability_;
  std::vector<double> uniform_;
};

/// A planner's table over the states of a model.
class ModelPolicy final : public Policy {
 public:
  ModelPolicy(std::shared_ptr<const world::ObservedModel> model, world::TabularPolicy table, Account account = {});
  std::int32_t act(const Sight& sight, std::uint64_t word) const override;
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override;
  Account account() const override { return account_; }

 private:
  std::shared_ptr<const world::ObservedModel> model_;
  world::TabularPolicy table_;
  Account account_;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
  std::vector<double> uniform_;
};

/// Softmax of a linear map of the observation (one-hot for board cells) and a constant.
class LinearPolicy final : public Policy {
 public:
  LinearPolicy(world::ObservationSpec spec, std::size_t actions, std::vector<double> weights);
  std::int32_t act(const Sight& sight, std::uint64_t word) const override;
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override;
  /// Entries of `weights`: actions x (features + 1).
  static std::size_t size(const world::ObservationSpec& spec, std::size_t actions);

 private:
  /// Probabilities of the actions, in `score`.
  void distribution(std::span<const float> observation, std::span<double> score) const;

  world::ObservationSpec spec_;
  std::size_t actions_;
  std::vector<double> weights_;
};

}  // namespace plumbline::agent
