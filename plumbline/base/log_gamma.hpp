#pragma once
/// The logarithm of the gamma function for any thread.
#include <math.h>

namespace plumbline::base {

/// log |Γ(x)|, with the bits of std::lgamma, which leaves the sign in a variable that all threads share.
inline double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

}  // namespace plumbline::base
