#pragma once
/// The two sources of chance that a world's rules can be run with: a random stream for simulation, and a walk over all
/// branches for exact enumeration. Rules are written once against either, so the two cannot disagree.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"

namespace plumbline::world {

/// Chance by a random stream.
class Drawn {
 public:
  explicit Drawn(base::Rng& rng) : rng_(rng) {}
  bool flip(double p) { return p > 0 && (p >= 1 || rng_.uniform() < p); }
  /// Uniform in 0 .. n-1.
  std::uint32_t below(std::uint32_t n) { return n <= 1 ? 0 : static_cast<std::uint32_t>(rng_.below(n)); }
  /// Index i with probability weights[i]; the weights sum to 1.
  std::uint32_t choose(std::span<const double> weights) {
    double u = rng_.uniform();
    for (std::uint32_t i = 0; i + 1 < weights.size(); ++i) {
      u -= weights[i];
      if (u < 0) return i;
    }
    return static_cast<std::uint32_t>(weights.size() - 1);
  }

 private:
  base::Rng& rng_;
};

/// Chance by exhaustion: run the rules again and again, each time down another branch, with its probability.
///   Branches branches;
///   do { State s = before; rules.step(s, action, branches); use(s, branches.probability()); } while (branches.next());
class Branches {
 public:
  bool flip(double p) {
    if (!(p > 0)) return false;
    if (p >= 1) return true;
    return take(2, [p](std::uint32_t i) { return i == 0 ? 1 - p : p; }) == 1;
  }
  std::uint32_t below(std::uint32_t n) {
    if (n <= 1) return 0;
    return take(n, [n](std::uint32_t) { return 1.0 / n; });
  }
  std::uint32_t choose(std::span<const double> weights) {
    return take(static_cast<std::uint32_t>(weights.size()), [weights](std::uint32_t i) { return weights[i]; });
  }
  /// Of the branch just run.
  double probability() const {
    double p = 1;
    for (const Choice& c : path_) p *= c.probability;
    return p;
  }
  /// Moves to the next branch; false when all have been run.
  bool next() {
    base::ensure(depth_ == path_.size(), "Branches: the rules drew differently on the same path");
    depth_ = 0;
    while (!path_.empty()) {
      if (++path_.back().index < path_.back().count) return true;
      path_.pop_back();
    }
    return false;
  }

 private:
  struct Choice {
    std::uint32_t index;
    std::uint32_t count;
    double probability;
  };
  template <class Probability>
  std::uint32_t take(std::uint32_t count, const Probability& probability) {
    if (depth_ == path_.size()) path_.push_back({0, count, 0});
    Choice& choice = path_[depth_++];
    choice.probability = probability(choice.index);
    return choice.index;
  }
  std::vector<Choice> path_;
  std::size_t depth_ = 0;
};

}  // namespace plumbline::world
