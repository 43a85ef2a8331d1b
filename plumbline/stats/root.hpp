#pragma once
/// Roots of functions of one variable inside a bracket.

#include <functional>

#include "plumbline/base/result.hpp"

namespace plumbline::stats {

struct RootOptions {
  double tolerance = 1e-12;  ///< on x, relative to max(1, |x|)
  int steps = 200;
};

/// x in [low, high] with f(x) = 0, by secants that keep a bracket (Illinois rule), with bisection as the safety net. f
/// need only be continuous. Errors    kValue: low >= high or not finite; f(low) and f(high) of the same sign, or NaN.
/// kLimit: steps spent. Cost      about 10 calls of f for smooth f. Deterministic.
base::Result<double> find_root(const std::function<double(double)>& f, double low, double high,
                               const RootOptions& options = {});

struct ValueAndSlope {
  double value = 0;
  double slope = 0;
};
/// The same with the slope known: Newton's step where it stays inside the bracket and helps, else bisection.
base::Result<double> find_root_newton(const std::function<ValueAndSlope(double)>& f, double low, double high,
                                      const RootOptions& options = {});

}  // namespace plumbline::stats
