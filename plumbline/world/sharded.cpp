#include "plumbline/world/sharded.hpp"

#include <algorithm>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/finite.hpp"
#include "plumbline/world/hidden.hpp"

namespace plumbline::world {
namespace {

class Sharded final : public World, public Hidden {
 public:
  Sharded(std::vector<WorldPtr> shards, std::size_t environments)
      : shards_(std::move(shards)), performance_(environments), cost_(environments) {
    std::size_t first = 0;
    for (const WorldPtr& shard : shards_) {
      first_.push_back(first);
      first += shard->environments();
    }
  }

  const WorldFacts& facts() const override { return shards_.front()->facts(); }
  const std::string& level() const override { return shards_.front()->level(); }
  std::size_t environments() const override { return performance_.size(); }

  void reset(std::uint64_t seed, std::uint64_t first, const View& view) override {
    const base::Status status = base::parallel_for(shards_.size(), [&](std::size_t s) -> base::Status {
      shards_[s]->reset(seed, first + first_[s], part(view, s));
      gather(s);
      return base::ok();
    });
    base::ensure(status.ok(), "a reset cannot fail");
  }

  base::Status step(std::span<const std::int32_t> actions, const View& view) override {
    PL_CHECK(check_view(facts(), environments(), view));
    PL_CHECK(check_actions(facts(), environments(), actions));
    return base::parallel_for(shards_.size(), [&](std::size_t s) -> base::Status {
      PL_CHECK(shards_[s]->step(actions.subspan(first_[s], shards_[s]->environments()), part(view, s)));
      gather(s);
      return base::ok();
    });
  }

  std::string render(std::size_t environment) const override {
    const std::size_t s = shard_of(environment);
    return shards_[s]->render(environment - first_[s]);
  }
  base::Result<std::shared_ptr<const ObservedModel>> observed_model() const override {
    return shards_.front()->observed_model();
  }
  std::vector<Script> scripts() const override { return shards_.front()->scripts(); }
  std::int32_t script_action(std::size_t script, std::size_t environment, std::uint64_t rng_word) const override {
    const std::size_t s = shard_of(environment);
    return shards_[s]->script_action(script, environment - first_[s], rng_word);
  }

  std::span<const float> performance() const override { return performance_; }
  std::span<const float> cost() const override { return cost_; }
  base::Result<std::shared_ptr<const AuditModel>> audit_model() const override {
    return hidden(*shards_.front()).audit_model();
  }

 protected:
  Hidden& hidden_side() override { return *this; }

 private:
  std::size_t shard_of(std::size_t environment) const {
    base::ensure(environment < environments(), "there is no such environment");
    return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), environment) - first_.begin()) - 1;
  }
  View part(const View& view, std::size_t s) const {
    const std::size_t n = shards_[s]->environments();
    const std::size_t cells = facts().observation.size();
    const auto cut = [&](const auto& array, std::size_t width) {
      return array.empty() ? array : array.subspan(first_[s] * width, n * width);
    };
    return {cut(view.observation, cells), cut(view.reward, 1),  cut(view.done, 1), cut(view.key, 1),
            cut(view.taken, 1),           cut(view.last, cells)};
  }
  void gather(std::size_t s) {
    const auto at = static_cast<std::ptrdiff_t>(first_[s]);
    const Hidden& side = hidden(*shards_[s]);
    std::copy(side.performance().begin(), side.performance().end(), performance_.begin() + at);
    std::copy(side.cost().begin(), side.cost().end(), cost_.begin() + at);
  }

  std::vector<WorldPtr> shards_;
  std::vector<std::size_t> first_;
  std::vector<float> performance_;
  std::vector<float> cost_;
};

}  // namespace

base::Result<WorldPtr> make_sharded(const WorldSpec& spec, std::size_t environments, std::size_t shards) {
  PL_CHECK(base::check_at_least("make_sharded", "shards", static_cast<std::ptrdiff_t>(shards), 1));
  PL_CHECK(base::check_at_least("make_sharded", "environments", static_cast<std::ptrdiff_t>(environments), 1));
  const std::size_t parts = std::min(shards, environments);
  std::vector<WorldPtr> worlds;
  for (std::size_t s = 0; s < parts; ++s) {
    PL_TRY(WorldPtr world, make_world(spec, environments * (s + 1) / parts - environments * s / parts));
    worlds.push_back(std::move(world));
  }
  return WorldPtr(std::make_unique<Sharded>(std::move(worlds), environments));
}

}  // namespace plumbline::world
