#pragma once
/// A bootstrap in one pass: every row is met once, and no row is kept.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace plumbline::counterfactual {

/// How often of 256 a resample takes a unit 0, 1, 2, 3, 4 and 5 times: an integer law with mean 1 and variance 1
/// exactly, as Poisson(1) and the multinomial have, and a third central moment of 0.961 (Poisson: 1).
inline constexpr std::array<int, 6> kResampleLaw = {95, 92, 49, 15, 4, 1};

/// Question  what would the column sums have been, had the units been drawn again?
/// Formula   sums_b = sum_i W(unit_i, b) values_i, with W from kResampleLaw, a pure function of key, unit and
/// replicate;
///           so all rows of a unit come together, however far apart they lie, and no weight is stored.
/// Cost      0.7 ns a row and replicate for four columns on one core (AVX2); memory replicates x columns.
///           Same bits for any number of threads, given the same calls of add.
/// Source    the bootstrap by exchangeable weights: Praestgaard and Wellner 1993; one pass: Chamandy et al. 2012.
class ResampledSums {
 public:
  /// Precondition: 1 <= columns <= 8. Replicates are rounded up to a multiple of 64.
  ResampledSums(std::size_t columns, std::size_t replicates, std::uint64_t key);
  /// values: rows x columns; unit: of each row.
  void add(std::span<const double> values, std::span<const std::uint64_t> unit);
  std::size_t replicates() const { return replicates_; }
  /// Column sums of a replicate.
  std::vector<double> sums(std::size_t replicate) const;

 private:
  std::size_t columns_;
  std::size_t replicates_;
  std::uint64_t key_;
  std::vector<double> sums_;  // chunk of 64 replicates, column, replicate in the chunk
};

/// W(unit, replicate), one at a time and in plain steps: for tests of add().
int resample_weight(std::uint64_t key, std::uint64_t unit, std::size_t replicate);

}  // namespace plumbline::counterfactual
