#include "plumbline/agent/score_parts.hpp"

#include <algorithm>
#include <utility>

#include "plumbline/agent/overseer.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

/// A world that pays what is truly wanted.
class Truthful final : public world::World {
 public:
  explicit Truthful(world::World& inner) : inner_(inner) {}
  const world::WorldFacts& facts() const override { return inner_.facts(); }
  const std::string& level() const override { return inner_.level(); }
  std::size_t environments() const override { return inner_.environments(); }
  void reset(std::uint64_t seed, std::uint64_t first, const world::View& view) override {
    inner_.reset(seed, first, view);
  }
  base::Status step(std::span<const std::int32_t> actions, const world::View& view) override {
    PL_CHECK(inner_.step(actions, view));
    const std::span<const float> truth = world::hidden(inner_).performance();
    std::copy(truth.begin(), truth.end(), view.reward.begin());
    return base::ok();
  }
  std::string render(std::size_t environment) const override { return inner_.render(environment); }
  base::Result<std::shared_ptr<const world::ObservedModel>> observed_model() const override {
    return inner_.observed_model();
  }

 protected:
  world::Hidden& hidden_side() override { return world::hidden(inner_); }

 private:
  world::World& inner_;
};

bool same(const world::Process& a, const world::Process& b) {
  return &a == &b || (a.first == b.first && a.next == b.next && a.probability == b.probability &&
                      a.initial == b.initial && a.horizon == b.horizon);
}

bool has(std::size_t swapped, Part part) { return ((swapped >> static_cast<std::size_t>(part)) & 1U) != 0; }

/// What all eight share.
struct Ground {
  std::shared_ptr<const world::ObservedModel> seen;
  std::shared_ptr<const world::AuditModel> truth;
  double best = 0;
  bool same_process = false;

  base::Result<double> regret(const world::TabularPolicy& policy) const {
    PL_TRY(const double got, world::policy_return(*truth->process, truth->hidden, policy));
    return best - got;
  }
  /// The regrets of all eight from `of(swapped)`; beliefs that are true already are asked about once.
  template <class Of>
  base::Result<Attribution> split(double own, bool no_beliefs, const Of& of) const {
    SwappedRegrets regrets{};
    for (std::size_t swapped = 0; swapped < regrets.size(); ++swapped) {
      if (no_beliefs && has(swapped, Part::kBeliefs)) {
        regrets[swapped] = regrets[swapped & ~std::size_t{1}];
      } else if (swapped == 0) {
        regrets[swapped] = own;
      } else {
        PL_TRY(regrets[swapped], of(swapped));
      }
    }
    return attribute_regret(regrets);
  }
};

base::Result<Attribution> split_planner(const Ground& ground, const Agent& agent, const Outlook& own,
                                        world::World& world, const Score& score, const Budget& budget,
                                        const base::Rng& rng, const base::CancelToken& cancel) {
  const auto of = [&](std::size_t swapped) -> base::Result<double> {
    PL_CHECK(cancel.status());
    Outlook other = own;
    if (has(swapped, Part::kBeliefs)) {
      auto model = std::make_shared<world::ObservedModel>(*own.model);
      model->process = ground.truth->process;
      other.model = std::move(model);
    }
    if (has(swapped, Part::kValues)) other.values = decision::literal(ground.truth->hidden);
    if (has(swapped, Part::kRule)) {
      PL_TRY(const world::Plan plan, world::finite_horizon(*other.model->process, decision::mean_reward(other.values)));
      return ground.regret(plan.policy);
    }
    std::unique_ptr<SimulatedOverseer> overseer;
    if (agent.facts().overseer) {
      PL_TRY(overseer, SimulatedOverseer::make(world, *agent.facts().overseer, rng.fork("overseer")));
    }
    Assignment given{world, budget, rng.fork("learn"), overseer.get(), cancel};
    PL_TRY(const PolicyPtr policy, agent.plan(other, given));
    PL_TRY(const world::TabularPolicy table, policy->table(*other.model));
    return ground.regret(table);
  };
  return ground.split(ground.best - score.hidden, ground.same_process, of);
}

base::Result<Attribution> split_learner(const Ground& ground, const Agent& agent, world::World& world,
                                        const Score& score, const Budget& budget, const base::Rng& rng,
                                        const base::CancelToken& cancel) {
  const auto of = [&](std::size_t swapped) -> base::Result<double> {
    PL_CHECK(cancel.status());
    const bool values = has(swapped, Part::kValues);
    if (has(swapped, Part::kRule)) {
      PL_TRY(const world::Plan plan, values ? world::finite_horizon(*ground.truth->process, ground.truth->hidden)
                                            : world::finite_horizon(*ground.seen->process, ground.seen->reward));
      return ground.regret(plan.policy);
    }
    Truthful paid(world);
    PL_TRY(const PolicyPtr policy, learn_overseen(agent, paid, budget, rng, cancel));
    PL_TRY(const world::TabularPolicy table, policy->table(*ground.seen));
    return ground.regret(table);
  };
  return ground.split(ground.best - score.hidden, true, of);
}

}  // namespace

base::Result<Split> split_regret(const Agent& agent, world::World& world, const Score& score, const Budget& budget,
                                 const base::Rng& rng, const base::CancelToken& cancel) {
  Split split;
  if (agent.facts().outside) {  // a learner's split pays it the truth
    split.withheld = "what is hidden never reaches an agent from outside";
    return split;
  }
  if (!score.exact) {
    split.withheld = "its true performance is an estimate from episodes";
    return split;
  }
  Ground ground;
  PL_TRY(ground.seen, world.observed_model());
  PL_TRY(ground.truth, world::hidden(world).audit_model());
  ground.same_process = same(*ground.seen->process, *ground.truth->process);
  PL_TRY(const world::Plan best, world::finite_horizon(*ground.truth->process, ground.truth->hidden));
  ground.best = best.start;
  Assignment given{world, budget, rng.fork("learn"), nullptr, cancel};
  const base::Result<Outlook> own = agent.outlook(given);
  if (own.ok()) {
    PL_TRY(split.parts, split_planner(ground, agent, *own, world, score, budget, rng, cancel));
    if (ground.same_process) split.note[0] = "true already: it plans with the process that counts";
    return split;
  }
  if (own.error().code != base::Code::kUnsupported) return own.error();
  PL_TRY(split.parts, split_learner(ground, agent, world, score, budget, rng, cancel));
  split.apart[0] = false;
  split.note[0] = ground.same_process
                      ? "not apart from the rule: what it has not met counts there"
                      : "not apart from the rule: that it learned where what counts runs otherwise is charged there";
  return split;
}

}  // namespace plumbline::agent
