#include "plumbline/agent/planners.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "plumbline/agent/dialled.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/world/limited_planning.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

class RandomAgent final : public Agent {
 public:
  explicit RandomAgent(AgentFacts facts) : facts_(std::move(facts)) {}
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override {
    return PolicyPtr(std::make_shared<UniformPolicy>(given.world.facts().actions.size()));
  }
  base::Result<Outlook> outlook(Assignment& given) const override {
    PL_TRY(std::shared_ptr<const world::ObservedModel> model, given.world.observed_model());
    decision::RewardPosterior values = decision::literal(model->reward);
    return Outlook{std::move(model), std::move(values)};
  }
  base::Result<PolicyPtr> plan(const Outlook&, Assignment& given) const override { return learn(given); }

 private:
  AgentFacts facts_;
};

/// UCT in one state: the visit counts of the root's actions decide.
class Tree {
 public:
  Tree(const world::Process& process, const std::vector<double>& reward, double scale, int depth)
      : process_(process), reward_(reward), scale_(scale), depth_(depth) {}

  std::uint32_t decide(std::uint32_t root, int simulations, base::Rng& rng) {
    nodes_.clear();
    open(root);
    for (int i = 0; i < simulations; ++i) simulate(0, 0, rng);
    const std::size_t actions = process_.actions;
    std::uint32_t best = 0;
    for (std::uint32_t a = 1; a < actions; ++a) {
      if (nodes_[0].arms[a].visits > nodes_[0].arms[best].visits) best = a;
    }
    return best;
  }

 private:
  struct Arm {
    double visits = 0;
    double total = 0;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> children;  // next state, node
  };
  struct Node {
    std::uint32_t state = 0;
    double visits = 0;
    std::vector<Arm> arms;
  };

  std::uint32_t open(std::uint32_t state) {
    nodes_.push_back({state, 0, std::vector<Arm>(process_.actions)});
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  std::uint32_t sample(std::size_t pair, base::Rng& rng) const {
    const world::Process& p = process_;
    double u = rng.uniform();
    std::uint64_t i = p.first[pair];
    for (; i + 1 < p.first[pair + 1]; ++i) {
      u -= p.probability[i];
      if (u < 0) break;
    }
    return p.next[i];
  }
  double rollout(std::uint32_t state, int depth, base::Rng& rng) const {
    double sum = 0;
    for (; depth < depth_ && state != process_.end(); ++depth) {
      const std::size_t pair = process_.pair(state, static_cast<std::uint32_t>(rng.below(process_.actions)));
      sum += reward_[pair];
      state = sample(pair, rng);
    }
    return sum;
  }
  double simulate(std::uint32_t index, int depth, base::Rng& rng) {
    if (depth >= depth_) return 0;
    const std::size_t actions = process_.actions;
    std::uint32_t choice = 0;
    double top = 0;
    bool fresh = false;
    for (std::uint32_t a = 0; a < actions; ++a) {
      const Arm& arm = nodes_[index].arms[a];
      if (arm.visits == 0) {
        choice = a;
        fresh = true;
        break;
      }
      const double bound = arm.total / arm.visits + scale_ * std::sqrt(2 * std::log(nodes_[index].visits) / arm.visits);
      if (a == 0 || bound > top) {
        top = bound;
        choice = a;
      }
    }
    const std::size_t pair = process_.pair(nodes_[index].state, choice);
    const std::uint32_t next = sample(pair, rng);
    double ret = reward_[pair];
    if (next != process_.end()) {
      if (fresh) {
        ret += rollout(next, depth + 1, rng);
      } else {
        auto& children = nodes_[index].arms[choice].children;
        const auto known =
            std::find_if(children.begin(), children.end(), [next](const auto& c) { return c.first == next; });
        std::uint32_t child = 0;
        if (known != children.end()) {
          child = known->second;
        } else {
          child = static_cast<std::uint32_t>(nodes_.size());
          children.emplace_back(next, child);
          open(next);
        }
        ret += simulate(child, depth + 1, rng);
      }
    }
    Arm& arm = nodes_[index].arms[choice];
    arm.visits += 1;
    arm.total += ret;
    nodes_[index].visits += 1;
    return ret;
  }

  const world::Process& process_;
  const std::vector<double>& reward_;
  double scale_;
  int depth_;
  std::vector<Node> nodes_;
};

base::Result<world::TabularPolicy> search(const world::Process& process, const std::vector<double>& reward,
                                          Assignment& given, int simulations) {
  constexpr std::uint32_t kMostStates = 4096;
  constexpr int kDepth = 15;
  constexpr std::uint32_t kSearches =
      8;  // a fresh search at each decision would differ: its choices are shares of these
  if (process.states > kMostStates) {
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("a search in each of {} states would take too long", process.states), {},
                            fmt::format("worlds of at most {} states", kMostStates));
  }
  double largest = 0;
  for (const double r : reward) largest = std::max(largest, std::abs(r));
  world::TabularPolicy policy{process.states, process.actions, 1, std::vector<double>(process.pairs(), 0.0)};
  PL_CHECK(base::parallel_for(
      process.states,
      [&](std::size_t s) {
        base::Rng rng = given.rng.fork(s);
        const auto state = static_cast<std::uint32_t>(s);
        Tree tree(process, reward, std::max(largest, 1e-9), kDepth);
        for (std::uint32_t i = 0; i < kSearches; ++i) {
          policy.probability[process.pair(state, tree.decide(state, simulations, rng))] += 1.0 / kSearches;
        }
        return base::ok();
      },
      given.cancel));
  return policy;
}

}  // namespace

AgentEntry random_agent() {
  const AgentFacts facts{.id = "random",
                         .title = "Random",
                         .rule = "none",
                         .kind = "baseline",
                         .help = "every action with the same probability",
                         .sources = {},
                         .deterministic = true};
  return {facts, "", [facts](std::string_view) -> base::Result<AgentPtr> {
            return AgentPtr(std::make_unique<RandomAgent>(facts));
          }};
}

AgentEntry optimal_planner() {
  return planner({.id = "optimal",
                  .title = "Optimal planner",
                  .rule = "dynamic programming",
                  .kind = {},
                  .help = "the best observed return within the horizon, exactly; ties to the lowest action",
                  .sources = {"Bellman, Dynamic Programming, 1957"},
                  .deterministic = true},
                 [](const world::Process& process, const std::vector<double>& reward,
                    Assignment&) -> base::Result<world::TabularPolicy> {
                   PL_TRY(world::Plan plan, world::finite_horizon(process, reward));
                   return std::move(plan.policy);
                 });
}

AgentEntry discounted_planner() {
  return planner({.id = "discounted",
                  .title = "Discounted planner",
                  .rule = "policy iteration",
                  .kind = {},
                  .help = "best return at discount 0.99, without a horizon",
                  .sources = {"Howard, Dynamic Programming and Markov Processes, 1960"},
                  .deterministic = true},
                 [](const world::Process& process, const std::vector<double>& reward,
                    Assignment&) -> base::Result<world::TabularPolicy> {
                   PL_TRY(world::Plan plan, world::policy_iteration(process, reward, 0.99, 1e-8));
                   return std::move(plan.policy);
                 });
}

AgentEntry lookahead_planner() {
  return dialled_planner(
      {.id = "lookahead",
       .title = "Lookahead",
       .rule = "dynamic programming",
       .kind = {},
       .help = "plans so many steps ahead at every step and counts nothing beyond",
       .sources = {},
       .deterministic = true},
      {"steps ahead", 3, 1, 1000, true},
      [](const world::Process& process, const std::vector<double>& reward, Assignment&, double depth) {
        // A reward a step later counts a little less, or a plan that can wait without loss would
        // wait for ever.
        return world::first_decisions(process, reward, static_cast<int>(depth), 0.99);
      });
}

AgentEntry soft_planner() {
  return dialled_planner({.id = "soft",
                          .title = "Boltzmann planner",
                          .rule = "soft value iteration",
                          .kind = {},
                          .help = "soft-optimal at a temperature, in units of reward",
                          .sources = {"Ziebart, Bagnell, Dey, ICML 2010"},
                          .deterministic = true},
                         {"temperature", 1, 1e-3, 1e3, false},
                         [](const world::Process& process, const std::vector<double>& reward, Assignment&,
                            double tau) -> base::Result<world::TabularPolicy> {
                           PL_TRY(world::Plan plan, world::soft_value_iteration(process, reward, tau));
                           return std::move(plan.policy);
                         });
}

AgentEntry tree_search() {
  return dialled_planner(
      {.id = "tree_search",
       .title = "Monte Carlo tree search",
       .rule = "tree search",
       .kind = {},
       .help = "UCT with so many simulations a decision, 15 steps deep",
       .sources = {"Kocsis, Szepesvari, Bandit based Monte-Carlo planning, ECML 2006"}},
      {"simulations", 300, 10, 100000, true},
      [](const world::Process& process, const std::vector<double>& reward, Assignment& given, double simulations) {
        return search(process, reward, given, static_cast<int>(simulations));
      });
}

}  // namespace plumbline::agent
