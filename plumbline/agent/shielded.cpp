#include "plumbline/agent/shielded.hpp"

#include <unordered_map>

#include "plumbline/base/guard.hpp"

namespace plumbline::agent {
namespace {

constexpr int kAskedAgain = 16;

/// Another word from the same one (SplitMix64), so that the policy stays a pure function of what it is handed.
std::uint64_t next_word(std::uint64_t word) {
  word += 0x9e3779b97f4a7c15U;
  word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
  word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
  return word ^ (word >> 31U);
}

class ShieldedPolicy final : public Policy {
 public:
  ShieldedPolicy(PolicyPtr policy, std::shared_ptr<const world::ObservedModel> model, reach::Shield shield)
      : policy_(std::move(policy)), model_(std::move(model)), shield_(std::move(shield)) {
    for (std::size_t s = 0; s < model_->keys.size(); ++s)
      index_.emplace(model_->keys[s], static_cast<std::uint32_t>(s));
  }

  std::int32_t act(const Sight& sight, std::uint64_t word) const override {
    const auto state = index_.find(sight.key);
    std::int32_t wish = policy_->act(sight, word);
    if (state == index_.end() || !shield_.winning[state->second] || wish == kNoAction) return wish;
    const auto allowed = [&](std::int32_t action) {
      return shield_.allowed[model_->process->pair(state->second, static_cast<std::uint32_t>(action))];
    };
    for (int asked = 0; asked < kAskedAgain && !allowed(wish); ++asked) {
      word = next_word(word);
      wish = policy_->act(sight, word);
      if (wish == kNoAction) return wish;
    }
    for (std::uint32_t a = 0; !allowed(wish) && a < model_->process->actions; ++a) wish = static_cast<std::int32_t>(a);
    return wish;
  }
  base::Status status() const override { return policy_->status(); }
  bool sequential() const override { return policy_->sequential(); }
  Account account() const override { return policy_->account(); }
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override {
    PL_TRY(const world::TabularPolicy own, policy_->table(model));
    return reach::shielded(*model.process, shield_, own);
  }

 private:
  PolicyPtr policy_;
  std::shared_ptr<const world::ObservedModel> model_;
  reach::Shield shield_;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;
};

}  // namespace

base::Result<PolicyPtr> behind_shield(PolicyPtr policy, std::shared_ptr<const world::ObservedModel> model,
                                      reach::Shield shield) {
  if (policy == nullptr || model == nullptr || model->process == nullptr)
    return base::make_error(base::Code::kValue, "behind_shield: expected a policy and a model");
  PL_CHECK(base::check_size("behind_shield", "shield.allowed", static_cast<std::ptrdiff_t>(shield.allowed.size()),
                            static_cast<std::ptrdiff_t>(model->process->pairs())));
  PL_CHECK(base::check_size("behind_shield", "shield.winning", static_cast<std::ptrdiff_t>(shield.winning.size()),
                            model->process->states));
  return PolicyPtr(std::make_shared<ShieldedPolicy>(std::move(policy), std::move(model), std::move(shield)));
}

reach::UnsafeEvents priced_below(const world::ObservedModel& model, double below) {
  reach::UnsafeEvents events;
  for (const double reward : model.reward) events.pair.push_back(reward < below);
  return events;
}

}  // namespace plumbline::agent
