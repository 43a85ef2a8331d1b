#pragma once
/// Optimising mildly: drawing from the better part of what a trusted policy would do, with a bound on what that can
/// cost.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::caution {

struct Quantile {
  std::vector<double> probability;  ///< over the m options
  double threshold = 0;             ///< options above this value are taken with their whole base mass
  double cost_factor = 1;           ///< the most that any cost >= 0 can grow in expectation: max probability / base
};

/// Question: what is drawn from the best `share` of a base policy's mass, by this value?
/// Formula:  options in descending value fill the mass `share`; those that tie at the threshold share the rest in
///           proportion to their base mass; divide by `share`.
/// Returns   E_Q[cost] <= cost_factor * E_base[cost] for every cost >= 0, with cost_factor <= 1 / share; no rule that
///           does not know the costs can promise less at this value.
/// Errors    kShape: sizes; kValue: no option, a base that is no distribution, a value that is not finite, share
/// outside
///           (0, 1].
/// Cost      O(m log m); deterministic.
/// Source    Taylor, "Quantilizers: a safer alternative to maximizers for limited optimization", AAAI workshop 2016.
base::Result<Quantile> quantilize(std::span<const double> base, std::span<const double> value, double share);

/// One strength of optimisation in the toy world below.
struct MildRow {
  double share = 1;     ///< of the base policy's mass
  double proxy = 0;     ///< expected proxy value
  double truth = 0;     ///< expected true value
  double exploits = 0;  ///< probability of an exploit
};

struct MildWorld {
  double noise = 1;            ///< deviation of proxy - truth among ordinary options; the truth has deviation 1
  double exploit_rate = 1e-3;  ///< share of the base policy's options that are exploits
  double exploit_proxy = 10;   ///< what an exploit adds to the proxy
  double exploit_truth = -10;  ///< and to the truth
};

/// Question: how does the true value move as a proxy is optimised harder?
/// Formula:  options are ordinary with truth T ~ N(0, 1), proxy T + noise N(0, 1), or exploits with both shifted; with
///           threshold c where the mixture's proxy tail is `share`, E[T | proxy > c] in closed form by normal tails.
/// Returns   one row a share: rises while skill is selected, falls once exploits fill the top (an inverted U).
/// Errors    kValue: a share outside (0, 1], noise < 0, exploit_rate outside [0, 1), figures that are not finite.
/// Source    Taylor 2016, section 3; the toy is ours.
base::Result<std::vector<MildRow>> mild_optimisation(std::span<const double> shares, const MildWorld& world = {});

/// Choosing k independent actions, each from n equally likely values 1 .. n.
struct JointRow {
  int actions = 1;
  double joint_share = 1;     ///< mass of the joint base policy in which every action is in its own top share: share^k
  double separate_cost = 1;   ///< cost factor of taking the top share of each action: share^-k
  double separate_value = 0;  ///< mean value an action of that
  double joint_value = 0;     ///< mean value an action of the joint quantilizer with cost factor 1 / share
};

/// Question: how does the price of mild optimisation grow with the number of things that are chosen at once?
/// Formula:  joint values by convolution of n equally likely levels; the joint quantilizer keeps the best `share`.
/// Returns   rows k = 1 .. most_actions: with the cost held at 1 / share the gain an action fades.
/// Errors    kValue: share outside (0, 1], most_actions < 1 or > 64, levels < 2 or > 1000.
base::Result<std::vector<JointRow>> quantilize_jointly(double share, int most_actions, int levels = 100);

}  // namespace plumbline::caution
