#pragma once
/// What worlds with continuous states share: they run in the batch of finite.hpp, and say why they are not enumerated.
/// A rules class R of that kind specialises enumerate<R> with continuous(), so that its step is only ever run with
/// Drawn. Its key() is a coarse cell of what is observed, for agents that learn in tables.

#include <string>

#include "plumbline/world/finite.hpp"

namespace plumbline::world {

/// Uniform in [0, 1), in steps of 2^-24.
template <class Chance>
double uniform(Chance& chance) {
  return static_cast<double>(chance.below(1U << 24U)) * 0x1p-24;
}

inline base::Error continuous(const WorldFacts& facts, const std::string& what) {
  return base::make_error(base::Code::kUnsupported, what + " are continuous", facts.id, "simulate it instead");
}

}  // namespace plumbline::world
