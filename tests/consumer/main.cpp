// A program of somebody else: one figure with bounds, and one fit that hands matrices across the library's border.
#include <cstdio>
#include <vector>

#include "plumbline/caution/temperature_scaling.hpp"
#include "plumbline/stats/intervals.hpp"

int main() {
  const auto share = plumbline::stats::clopper_pearson(97, 100);
  if (!share.ok()) return 1;
  plumbline::MatrixD logits(4, 2);
  logits << 2, 0, 0, 2, 2, 0, 0, 2;
  const std::vector<int> labels = {0, 1, 0, 0};
  const auto fit = plumbline::caution::fit_temperature(logits, labels);
  if (!fit.ok()) return 1;
  const auto probabilities = plumbline::caution::apply_temperature(logits, fit->temperature);
  if (!probabilities.ok()) return 1;
  std::printf("share %.2f in [%.4f, %.4f], confidence %.2f\n", share->value, *share->low(), *share->high(),
              (*probabilities)(0, 0));
}
