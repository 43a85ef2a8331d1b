#include "plumbline/agent/proximal.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/agent/batch.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/base/guard.hpp"

namespace plumbline::agent {
namespace {

constexpr double kDiscount = 0.99;
constexpr double kLambda = 0.95;
constexpr double kRate = 1e-3;  // falls to 0 over the budget
constexpr double kLargestGradient = 0.5;
constexpr std::size_t kStretch = 128;  // steps an environment between updates
constexpr int kEpochs = 4;
constexpr std::size_t kParts = 8;     // of the experience, one update each
constexpr double kTooFar = 1e12;      // as for every learner
constexpr double kLargestShare = 10;  // rewards are cut at so many deviations of the return

/// Logits to probabilities in place; returns log of the sum, so that log p = logit - that.
double soften(std::span<double> logit) {
  const double top = *std::max_element(logit.begin(), logit.end());
  double sum = 0;
  for (double& x : logit) sum += x = std::exp(x - top);
  for (double& x : logit) x /= sum;
  return top + std::log(sum);
}

class NetworkPolicy final : public Policy {
 public:
  NetworkPolicy(world::ObservationSpec spec, Network network) : spec_(std::move(spec)), network_(std::move(network)) {}
  std::int32_t act(const Sight& sight, std::uint64_t word) const override {
    return draw(distribution(sight.observation), word);
  }
  base::Result<world::TabularPolicy> table(const world::ObservedModel& model) const override {
    return table_of_observations(model, spec_.size(),
                                 [this](std::span<const float> observation) { return distribution(observation); });
  }

 private:
  std::vector<double> distribution(std::span<const float> observation) const {
    Inputs inputs;
    read_inputs(spec_, observation, inputs);
    std::vector<double> hidden(network_.hidden());
    std::vector<double> output(network_.outputs());
    network_.forward(inputs, hidden, output);
    output.pop_back();
    soften(output);
    return output;
  }
  world::ObservationSpec spec_;
  Network network_;
};

/// Divides rewards by the running deviation of the discounted return, so that one set of parameters serves any unit.
class RewardScale {
 public:
  explicit RewardScale(std::size_t n) : running_(n, 0.0) {}
  double operator()(std::size_t i, double reward, bool over) {
    running_[i] = kDiscount * running_[i] + reward;
    count_ += 1;
    const double off = running_[i] - mean_;
    mean_ += off / count_;
    squares_ += off * (running_[i] - mean_);
    if (over) running_[i] = 0;
    const double deviation = std::sqrt(squares_ / count_);
    return deviation > 1e-8 ? std::clamp(reward / deviation, -kLargestShare, kLargestShare) : reward;
  }

 private:
  std::vector<double> running_;
  double count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

base::Result<PolicyPtr> learn_proximal(Assignment given, std::size_t width) {
  PL_CHECK(base::check_at_least("learn", "steps", given.budget.steps, 1));
  world::World& world = given.world;
  const std::size_t n = world.environments();
  PL_CHECK(base::check_size("learn", "environments", static_cast<std::ptrdiff_t>(n),
                            static_cast<std::ptrdiff_t>(given.budget.environments)));
  const world::ObservationSpec spec = world.facts().observation;
  const std::size_t actions = world.facts().actions.size();
  std::vector<double> scale(actions + 1, 0.01);
  scale.back() = 1;
  Network network(input_count(spec), spec.size(), width, scale, given.rng);
  Adam adam(network.parameters().size());
  RewardScale scaled(n);
  Batch batch(world);
  world.reset(given.rng.bits(), 0, batch.view());

  const auto horizon = static_cast<std::int64_t>(kStretch * n);
  const std::int64_t rounds = std::max<std::int64_t>(1, given.budget.steps / horizon);
  const std::size_t stretch = static_cast<std::size_t>(
      std::clamp<std::int64_t>(given.budget.steps / static_cast<std::int64_t>(n), 1, kStretch));
  const std::size_t size = stretch * n;
  std::vector<Experience> all(size);  // [environment][step]
  std::vector<double> reward(size);
  std::vector<double> value(size);
  std::vector<double> next(size);
  std::vector<double> advantage(size);
  std::vector<std::uint8_t> over(size);
  std::vector<double> hidden(width);
  std::vector<double> output(actions + 1);
  std::vector<double> gradient(network.parameters().size());
  std::vector<std::size_t> order(size);
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (std::size_t t = 0; t < stretch; ++t) {
      PL_CHECK(given.cancel.status());
      for (std::size_t i = 0; i < n; ++i) {
        Experience& e = all[i * stretch + t];
        read_inputs(spec, batch.sight(i).observation, e.inputs);
        network.forward(e.inputs, hidden, output);
        value[i * stretch + t] = output.back();
        const std::span<double> logit = std::span<double>(output).first(actions);
        const std::vector<double> raw(logit.begin(), logit.end());
        const double total = soften(logit);
        batch.action[i] = e.action = draw(logit, given.rng.bits());
        e.log_probability = raw[static_cast<std::size_t>(e.action)] - total;
      }
      PL_CHECK(world.step(batch.action, batch.view()));
      for (std::size_t i = 0; i < n; ++i) {
        if (!(std::abs(batch.reward[i]) < kTooFar)) {
          return base::make_error(base::Code::kValue,
                                  fmt::format("environment {} gave the reward {}", i, batch.reward[i]),
                                  "world " + world.facts().id);
        }
        const std::size_t at = i * stretch + t;
        over[at] = batch.done[i] != 0 ? 1 : 0;
        reward[at] = scaled(i, static_cast<double>(batch.reward[i]), over[at] != 0);
        // What follows a cut is not shown: the state before stands for it.
        next[at] = static_cast<world::Done>(batch.done[i]) == world::Done::kCut ? value[at] : 0;
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t first = i * stretch;
      for (std::size_t t = 0; t + 1 < stretch; ++t) {
        if (over[first + t] == 0) next[first + t] = value[first + t + 1];
      }
      if (over[first + stretch - 1] == 0) {
        Inputs inputs;
        read_inputs(spec, batch.sight(i).observation, inputs);
        network.forward(inputs, hidden, output);
        next[first + stretch - 1] = output.back();
      }
      const auto part = [&](auto& array) { return std::span(array).subspan(first, stretch); };
      advantages(part(reward), part(value), part(next), part(over), kDiscount, kLambda, part(advantage));
    }
    for (std::size_t j = 0; j < size; ++j) {
      all[j].target = advantage[j] + value[j];
      all[j].advantage = advantage[j];
    }
    const double rate = kRate * (1 - static_cast<double>(round) / static_cast<double>(rounds));
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      given.rng.shuffle(std::span<std::size_t>(order));
      for (std::size_t p = 0; p < kParts; ++p) {
        const std::size_t from = size * p / kParts;
        const std::size_t count = size * (p + 1) / kParts - from;
        if (count == 0) continue;
        const std::span<const std::size_t> chosen = std::span<const std::size_t>(order).subspan(from, count);
        double mean = 0;
        double squares = 0;
        for (const std::size_t j : chosen) mean += advantage[j] / static_cast<double>(count);
        for (const std::size_t j : chosen) squares += (advantage[j] - mean) * (advantage[j] - mean);
        const double deviation = std::sqrt(squares / static_cast<double>(count)) + 1e-8;
        for (const std::size_t j : chosen) all[j].advantage = (advantage[j] - mean) / deviation;
        std::fill(gradient.begin(), gradient.end(), 0.0);
        proximal_loss(network, all, chosen, {}, gradient);
        double norm = 0;
        for (const double g : gradient) norm += g * g;
        norm = std::sqrt(norm);
        if (norm > kLargestGradient) {
          for (double& g : gradient) g *= kLargestGradient / norm;
        }
        adam.step(network.parameters(), gradient, rate);
      }
    }
  }
  return PolicyPtr(std::make_shared<NetworkPolicy>(spec, std::move(network)));
}

class Proximal final : public Agent {
 public:
  Proximal(AgentFacts facts, std::size_t width) : facts_(std::move(facts)), width_(width) {}
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override { return learn_proximal(std::move(given), width_); }

 private:
  AgentFacts facts_;
  std::size_t width_;
};

}  // namespace

double proximal_loss(const Network& network, std::span<const Experience> all, std::span<const std::size_t> chosen,
                     const ProximalWeights& weights, std::span<double> gradient) {
  const std::size_t actions = network.outputs() - 1;
  std::vector<double> hidden(network.hidden());
  std::vector<double> scratch(network.hidden());
  std::vector<double> p(network.outputs());
  std::vector<double> log_p(actions);
  std::vector<double> dy(network.outputs());
  const double share = 1 / static_cast<double>(chosen.size());
  double loss = 0;
  for (const std::size_t j : chosen) {
    const Experience& e = all[j];
    network.forward(e.inputs, hidden, p);
    std::copy(p.begin(), p.end() - 1, log_p.begin());
    const double total = soften(std::span<double>(p).first(actions));
    double entropy = 0;
    for (std::size_t a = 0; a < actions; ++a) {
      log_p[a] -= total;
      entropy -= p[a] * log_p[a];
    }
    const auto taken = static_cast<std::size_t>(e.action);
    const double ratio = std::exp(log_p[taken] - e.log_probability);
    const double free = ratio * e.advantage;
    const double held = std::clamp(ratio, 1 - weights.clip, 1 + weights.clip) * e.advantage;
    const double off = p.back() - e.target;
    loss += share * (-std::min(free, held) + weights.value * off * off / 2 - weights.entropy * entropy);
    if (gradient.empty()) continue;
    const double push = free <= held ? -free : 0;  // beyond the clip the surrogate is flat
    for (std::size_t a = 0; a < actions; ++a) {
      dy[a] = share * (push * ((a == taken ? 1 : 0) - p[a]) + weights.entropy * p[a] * (log_p[a] + entropy));
    }
    dy.back() = share * weights.value * off;
    network.backward(e.inputs, hidden, dy, scratch, gradient);
  }
  return loss;
}

void advantages(std::span<const double> reward, std::span<const double> value, std::span<const double> next,
                std::span<const std::uint8_t> over, double gamma, double lambda, std::span<double> out) {
  double later = 0;
  for (std::size_t t = reward.size(); t-- > 0;) {
    if (over[t] != 0) later = 0;
    later = reward[t] + gamma * next[t] - value[t] + gamma * lambda * later;
    out[t] = later;
  }
}

AgentEntry proximal_policy() {
  const AgentFacts facts{
      .id = "ppo",
      .title = "Proximal policy optimisation",
      .rule = "clipped policy gradient",
      .kind = "learner",
      .help = "a network of one hidden layer over observations, clip 0.2, discount 0.99, lambda 0.95, 4 epochs",
      .sources = {"Schulman et al., Proximal policy optimization algorithms, 2017, arXiv:1707.06347"}};
  return {facts, "units of the hidden layer; 64 alone", [facts](std::string_view text) -> base::Result<AgentPtr> {
            constexpr std::size_t kMost = 1024;
            std::size_t width = 64;
            if (!text.empty()) {
              const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
              if (error != std::errc{} || end != text.data() + text.size() || width < 1 || width > kMost) {
                return base::make_error(base::Code::kValue,
                                        fmt::format("'{}' is no whole number from 1 to {}", text, kMost), "agent ppo",
                                        "for example ppo:64");
              }
            }
            AgentFacts own = facts;
            own.id = fmt::format("ppo:{}", width);
            return AgentPtr(std::make_unique<Proximal>(own, width));
          }};
}

}  // namespace plumbline::agent
