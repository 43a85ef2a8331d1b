#pragma once
/// Counter-based random numbers (Philox 4x32-10, Random123). A stream is a pure function of its key, so work may
/// be cut in any way and still give the same bits. std::*_distribution and std::shuffle differ between libraries:
/// use the members below instead (lint.bits enforces it).
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plumbline::base {

/// A seeded stream. Copy it to replay from the present position; not thread-safe, make one per task.
class Rng {
 public:
  using result_type = std::uint64_t;

  /// Key = SHA-256 of the seed and the parts, each length-prefixed. Typical parts: check id, subject, shard.
  explicit Rng(std::uint64_t seed, std::initializer_list<std::string_view> parts = {});
  /// An independent stream that depends on this stream's key and the given name, not on its position.
  Rng fork(std::string_view name) const;
  Rng fork(std::uint64_t index) const;

  std::uint64_t operator()() { return bits(); }
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

  /// 64 uniform bits.
  std::uint64_t bits();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform integer in [0, n), exactly (rejection). Precondition: n > 0.
  std::uint64_t below(std::uint64_t n);
  /// Standard normal by Box-Muller; two uniforms for each pair.
  double normal();
  double normal(double mean, double deviation);
  /// True with probability p.
  bool bernoulli(double p) { return uniform() < p; }
  /// Exponential with mean 1.
  double exponential();
  /// Gamma with the given shape > 0 and scale 1 (Marsaglia and Tsang 2000).
  double gamma(double shape);
  double beta(double a, double b);
  /// Poisson; inversion below mean 30, transformed rejection (Hormann 1993) above.
  std::uint64_t poisson(double mean);
  std::uint64_t binomial(std::uint64_t n, double p);

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      const std::size_t j = below(i);
      using std::swap;
      swap(values[i - 1], values[j]);
    }
  }
  /// 0..n-1 in random order.
  std::vector<std::size_t> permutation(std::size_t n);
  /// k distinct values of 0..n-1, in ascending order. Precondition: k <= n.
  std::vector<std::size_t> sample(std::size_t n, std::size_t k);

  /// Key and counter as text, for evidence; the same text replays the stream from here.
  std::string state() const;

 private:
  Rng(std::uint64_t key_low, std::uint64_t key_high, int);
  void refill();

  std::array<std::uint32_t, 2> key_{};
  std::uint64_t lane_ = 0;     // upper half of the counter: separates forks that share a Philox key
  std::uint64_t counter_ = 0;  // lower half of the counter
  std::array<std::uint64_t, 2> buffer_{};
  unsigned left_ = 0;
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

}  // namespace plumbline::base
