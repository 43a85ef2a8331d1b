#pragma once
/// Proximal policy optimisation with a small network over observations; one set of parameters for all worlds, the
/// customary one.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/network.hpp"

namespace plumbline::agent {

/// One step of experience, as the loss reads it.
struct Experience {
  Inputs inputs;
  std::int32_t action = 0;
  double log_probability = 0;  ///< of the action when it was taken
  double advantage = 0;
  double target = 0;  ///< of the value
};

struct ProximalWeights {
  double clip = 0.2;
  double value = 0.5;
  double entropy = 0.01;
};

/// Question: what does this network lose on this experience, and which way is down?
/// Formula:  outputs are the logits of the actions and, last, the value V. With rho = pi(a) / pi_old(a):
///           mean of -min(rho A, clip(rho, 1 - c, 1 + c) A) + value (V - target)^2 / 2 - entropy H(pi).
/// Returns   the loss; adds its gradient to `gradient` (one entry a parameter) unless that is empty.
/// Preconditions: `chosen` are indices into `all`, at least one.
/// Source    Schulman, Wolski, Dhariwal, Radford, Klimov, "Proximal policy optimization algorithms", 2017, eq. 7 and 9.
double proximal_loss(const Network& network, std::span<const Experience> all, std::span<const std::size_t> chosen,
                     const ProximalWeights& weights, std::span<double> gradient);

/// Question: how much better than expected was each step of a stretch?
/// Formula:  delta_t = r_t + gamma next_t - V_t; A_t = delta_t + gamma lambda A_{t+1}, started anew after an episode.
/// Shapes    all of the stretch's length; `next` is the value of what followed, 0 after an end; `over`: an episode
///           ended or was cut with this step.
/// Source    Schulman et al., "High-dimensional continuous control using generalized advantage estimation", 2016.
void advantages(std::span<const double> reward, std::span<const double> value, std::span<const double> next,
                std::span<const std::uint8_t> over, double gamma, double lambda, std::span<double> out);

/// "ppo:64": the number is the width of the hidden layer.
AgentEntry proximal_policy();

}  // namespace plumbline::agent
