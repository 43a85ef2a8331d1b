#pragma once
/// A cart that a small network brings to rest before a wall: the example of `plumbline init --kind loop` and what
/// caution.reach_safe is tried on.

#include <string>

#include "plumbline/base/result.hpp"

namespace plumbline::checks {

struct CartOptions {
  double wall = -0.2;  ///< where it stands
  double start = 1.0;  ///< middle of the starting places
  double drag = 0.05;
  double damping = 1.5;       ///< the network pushes with -x - damping v, held within [-1, 1]
  bool comes_to_rest = true;  ///< claim that as well
};

/// Writes loop.toml and controller.onnx. Errors kIo.
base::Status write_cart(const std::string& folder, const CartOptions& options = {});

}  // namespace plumbline::checks
