#pragma once
/// Digits drawn by a program, and small networks trained on them: what replications of attacks run on, without files.

#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/replicate/replicate.hpp"
#include "plumbline/robustness/attack/attack.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::replicate {

inline constexpr std::size_t kDigitSide = 8;
inline constexpr std::size_t kDigitPixels = kDigitSide * kDigitSide;

/// Pictures of 8 x 8 pixels in [0, 1], row by row.
struct DrawnDigits {
  std::vector<std::vector<double>> x;
  std::vector<int> labels;

  /// As examples of an attack; they point into this.
  std::vector<robustness::AttackCase> cases() const;
};

/// The ten digits in a 5 x 7 face at one of eight places; ink 0.75 to 1, ground 0 to 0.25, one pixel in fifty flipped.
DrawnDigits draw_digits(std::size_t count, base::Rng rng);

struct TrainSettings {
  std::size_t hidden = 32;
  int epochs = 12;
  double rate = 0.005;
  double noise = 0;      ///< deviation of Gaussian noise on the inputs
  double epsilon = 0;    ///< Linf radius of the attack trained against; 0: none
  int attack_steps = 0;  ///< 1: from a random start, steps of 1.25 epsilon ("fast"); more: PGD
};

/// 64 -> hidden -> 10 with ReLU, cross-entropy, Adam, batches of 50. The same bits for the same stream.
robustness::Network train_digits(const DrawnDigits& digits, const TrainSettings& settings, base::Rng rng);

/// Linf within [0, 1].
robustness::Threat digit_threat(double epsilon);

/// What attacks leave.
struct Standing {
  std::size_t clean = 0;     ///< right as they stand
  std::size_t right = 0;     ///< right under all of the attacks
  stats::Estimate accuracy;  ///< share of these, Clopper-Pearson over digits
};
/// Errors    as run_suite(). kCancelled.
base::Result<Standing> standing(const robustness::Target& target, const DrawnDigits& digits, double epsilon,
                                std::span<const robustness::Attack> attacks, const Options& options);

}  // namespace plumbline::replicate
