#pragma once
/// From scores of the available actions to the probabilities with which they are drawn. Pure functions of equal spans;
/// every result sums to 1 up to rounding.

#include <cstddef>
#include <span>

namespace plumbline::counterfactual::learning {

/// 1 shared among the largest scores.
void greedy(std::span<const double> score, std::span<double> out);

/// (1 - epsilon) p + epsilon / k, in place.
void mix_uniform(double epsilon, std::span<double> p);

/// exp(score / temperature), normalised. Precondition: temperature > 0.
void softmax(std::span<const double> score, double temperature, std::span<double> out);

/// Question  how often is each action tried when the gap to the best score says how much that costs?
/// Formula   p(a) = 1 / (k + gamma (best - score(a))) for all but the best, which has the rest. Precondition: gamma >=
/// 0. Source    Abe and Long 1999; Foster and Rakhlin 2020 (SquareCB).
void inverse_gap(std::span<const double> score, double gamma, std::span<double> out);

/// Question  how probable is it that each of some independent normal numbers is the largest?
/// Formula   int phi_a prod_{b != a} Phi_b, by Gauss-Legendre between points at most 1.5 deviations of each number
/// apart, then
///           normalised.
/// Errors    precondition: deviations > 0. Off by less than 1e-4 as tested, deviations differing by a factor of 1000.
/// Cost      O(k^2) error functions, where k counts numbers that are not hopelessly small.
void largest_normal(std::span<const double> mean, std::span<const double> deviation, std::span<double> out);

/// The index that a uniform number u in [0, 1) draws: the first whose cumulated probability exceeds u. An index of
/// probability 0 is never drawn.
std::size_t draw(std::span<const double> probability, double u);

}  // namespace plumbline::counterfactual::learning
