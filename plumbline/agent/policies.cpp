#include "plumbline/agent/policies.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace plumbline::agent {

base::Result<world::TabularPolicy> Policy::table(const world::ObservedModel&) const {
  return base::make_error(base::Code::kUnsupported, "this policy reads observations and has no table");
}

base::Result<Outlook> Agent::outlook(Assignment&) const {
  return base::make_error(base::Code::kUnsupported, "it learns by trying and plans nothing", "agent " + facts().id);
}

base::Result<PolicyPtr> Agent::plan(const Outlook&, Assignment& given) const {
  PL_TRY(const Outlook none, outlook(given));
  throw base::InternalError("Agent::plan: " + facts().id + " has an outlook and no plan");
}

base::Status check_seats(const Policy& policy, const world::World& world) {
  if (!policy.sequential() || world.environments() == 1) return base::ok();
  return base::make_error(
      base::Code::kShape,
      fmt::format("the policy plays one environment at a time, the world has {}", world.environments()),
      "world " + world.facts().id);
}

std::int32_t draw(std::span<const double> probability, std::uint64_t word) {
  double u = static_cast<double>(word >> 11U) * 0x1.0p-53;
  for (std::size_t a = 0; a + 1 < probability.size(); ++a) {
    u -= probability[a];
    if (u < 0) return static_cast<std::int32_t>(a);
  }
  // What rounding leaves over belongs to the last action that has any probability.
  std::size_t last = probability.size() - 1;
  while (last > 0 && probability[last] == 0) --last;
  return static_cast<std::int32_t>(last);
}

std::int32_t UniformPolicy::act(const Sight&, std::uint64_t word) const {
  return static_cast<std::int32_t>((word >> 11U) % actions_);
}

base::Result<world::TabularPolicy> UniformPolicy::table(const world::ObservedModel& model) const {
  return world::uniform_policy(*model.process);
}

KeyPolicy::KeyPolicy(std::size_t actions, std::unordered_map<std::uint64_t, std::uint32_t> rows,
                     std::vector<double> probability)
    : actions_(actions),
      rows_(std::move(rows)),
      probability_(std::move(probability)),
      uniform_(actions, 1.0 / static_cast<double>(actions)) {}

std::span<const double> KeyPolicy::at(std::uint64_t key) const {
  const auto row = rows_.find(key);
  if (row == rows_.end()) return uniform_;
  return std::span<const double>(probability_).subspan(row->second * actions_, actions_);
}

std::int32_t KeyPolicy::act(const Sight& sight, std::uint64_t word) const { return draw(at(sight.key), word); }

base::Result<world::TabularPolicy> KeyPolicy::table(const world::ObservedModel& model) const {
  const auto actions = static_cast<std::uint32_t>(actions_);
  if (actions != model.process->actions) {
    return base::make_error(base::Code::kShape,
                            fmt::format("a policy of {} actions for a world of {}", actions, model.process->actions));
  }
  world::TabularPolicy table{model.process->states, actions, 1, {}};
  table.probability.reserve(model.process->pairs());
  for (const std::uint64_t key : model.keys) {
    const std::span<const double> row = at(key);
    table.probability.insert(table.probability.end(), row.begin(), row.end());
  }
  return table;
}

base::Result<world::TabularPolicy> table_of_observations(
    const world::ObservedModel& model, std::size_t cells,
    const std::function<std::vector<double>(std::span<const float>)>& distribution) {
  if (!model.observe) {
    return base::make_error(base::Code::kUnsupported, "the world does not say what is seen of its states");
  }
  const world::Process& process = *model.process;
  world::TabularPolicy table{process.states, process.actions, 1, {}};
  table.probability.reserve(process.pairs());
  std::vector<float> observation(cells);
  for (std::uint32_t s = 0; s < process.states; ++s) {
    model.observe(s, observation.data());
    const std::vector<double> row = distribution(observation);
    if (row.size() != process.actions) {
      return base::make_error(base::Code::kShape,
                              fmt::format("a policy of {} actions for a world of {}", row.size(), process.actions));
    }
    table.probability.insert(table.probability.end(), row.begin(), row.end());
  }
  return table;
}

ModelPolicy::ModelPolicy(std::shared_ptr<const world::ObservedModel> model, world::TabularPolicy table, Account account)
    : model_(std::move(model)),
      table_(std::move(table)),
      account_(std::move(account)),
      uniform_(model_->process->actions, 1.0 / model_->process->actions) {
  for (std::uint32_t s = 0; s < model_->keys.size(); ++s) index_.emplace(model_->keys[s], s);
}

std::int32_t ModelPolicy::act(const Sight& sight, std::uint64_t word) const {
  const auto place = index_.find(sight.key);
  if (place == index_.end()) return draw(uniform_, word);
  return draw(table_.at(table_.steps == 1 ? 0 : std::min(sight.time, table_.steps - 1), place->second), word);
}

base::Result<world::TabularPolicy> ModelPolicy::table(const world::ObservedModel& model) const {
  if (model.keys != model_->keys) {
    return base::make_error(base::Code::kShape, "the policy was planned for another world");
  }
  return table_;
}

namespace {

std::size_t features_of(const world::ObservationSpec& spec) {
  return spec.size() * static_cast<std::size_t>(std::max(1, spec.categories)) + 1;
}

}  // namespace

LinearPolicy::LinearPolicy(world::ObservationSpec spec, std::size_t actions, std::vector<double> weights)
    : spec_(std::move(spec)), actions_(actions), weights_(std::move(weights)) {
  base::ensure(weights_.size() == size(spec_, actions_), "LinearPolicy: wrong number of weights");
}

std::size_t LinearPolicy::size(const world::ObservationSpec& spec, std::size_t actions) {
  return actions * features_of(spec);
}

void LinearPolicy::distribution(std::span<const float> observation, std::span<double> score) const {
  const std::size_t features = features_of(spec_);
  double top = 0;
  for (std::size_t a = 0; a < actions_; ++a) {
    const double* w = weights_.data() + a * features;
    double sum = w[features - 1];
    if (spec_.categories > 0) {
      const auto categories = static_cast<std::size_t>(spec_.categories);
      for (std::size_t i = 0; i < observation.size(); ++i) {
        sum += w[i * categories + static_cast<std::size_t>(observation[i])];
      }
    } else {
      for (std::size_t i = 0; i < observation.size(); ++i) sum += w[i] * static_cast<double>(observation[i]);
    }
    score[a] = sum;
    top = a == 0 ? sum : std::max(top, sum);
  }
  double total = 0;
  for (std::size_t a = 0; a < actions_; ++a) total += score[a] = std::exp(score[a] - top);
  for (std::size_t a = 0; a < actions_; ++a) score[a] /= total;
}

std::int32_t LinearPolicy::act(const Sight& sight, std::uint64_t word) const {
  constexpr std::size_t kMostActions = 64;
  base::ensure(actions_ <= kMostActions, "LinearPolicy: too many actions");
  std::array<double, kMostActions> score{};
  distribution(sight.observation, std::span<double>(score).first(actions_));
  return draw(std::span<const double>(score.data(), actions_), word);
}

base::Result<world::TabularPolicy> LinearPolicy::table(const world::ObservedModel& model) const {
  return table_of_observations(model, spec_.size(), [this](std::span<const float> observation) {
    std::vector<double> score(actions_);
    distribution(observation, score);
    return score;
  });
}

}  // namespace plumbline::agent
