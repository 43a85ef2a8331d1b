#pragma once
/// Losses that attacks climb, with their derivatives by the scores.

#include <span>
#include <string_view>

namespace plumbline::robustness {

enum class Loss {
  kMargin,        ///< max_{j != y} z_j - z_y
  kCrossEntropy,  ///< -log softmax(z)_y
  kDlr,           ///< (max_{j != y} z_j - z_y) / (z_(1) - z_(3)): does not change with the scale of z
};
std::string_view loss_name(Loss loss);

/// z_y less the largest other score: below 0 where the row is taken for another class. NaN scores count as a margin of
/// +infinity: an answer that is no number is no success.
double class_margin(std::span<const double> scores, int label);

/// Question: how large is the loss, and how does it change with the scores?
/// Formula:  as above; with a target t >= 0 instead: z_t - z_y, log softmax(z)_t, and
///           (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2).
///           The ratio falls back to the margin with fewer classes than it needs, or where its denominator is 0.
/// Shapes    scores, seeds: classes. seeds receives d loss / d scores.
/// Source    Croce, Hein 2020 (DLR); Carlini, Wagner 2017 (margin).
double loss_at(Loss loss, std::span<const double> scores, int label, int target, std::span<double> seeds);

}  // namespace plumbline::robustness
