#pragma once
/// exp and log four at a time, for soft planning. The same bits on every machine of the x86-64-v3 level: plain
/// arithmetic in a fixed order, nothing from the C library. Error below 2 units in the last place.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace plumbline::world::detail {

using Four = double __attribute__((vector_size(32)));
using FourBits = std::int64_t __attribute__((vector_size(32)));

inline Four load_four(const double* x) {
  Four v;
  std::memcpy(&v, x, sizeof v);
  return v;
}
inline void store_four(double* x, Four v) { std::memcpy(x, &v, sizeof v); }

/// exp(x) for x <= 0; below -708 it is exp(-708).
inline Four exp_four(Four x) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer in the low bits
  const Four lowest = {-708, -708, -708, -708};
  x = x < lowest ? lowest : x;
  const Four shifted = x * 1.4426950408889634074 + kShift;
  const Four n = shifted - kShift;
  const Four r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  // Taylor's series to r^13, |r| <= log(2) / 2.
  const Four r2 = r * r;
  const Four r4 = r2 * r2;
  const Four r8 = r4 * r4;
  const Four p01 = 1.0 + r;
  const Four p23 = 1.0 / 2 + r * (1.0 / 6);
  const Four p45 = 1.0 / 24 + r * (1.0 / 120);
  const Four p67 = 1.0 / 720 + r * (1.0 / 5040);
  const Four p89 = 1.0 / 40320 + r * (1.0 / 362880);
  const Four pab = 1.0 / 3628800 + r * (1.0 / 39916800);
  const Four pcd = 1.0 / 479001600 + r * (1.0 / 6227020800);
  const Four p = (p01 + r2 * p23) + r4 * (p45 + r2 * p67) + r8 * ((p89 + r2 * pab) + r4 * pcd);
  FourBits bits;
  FourBits exponent;
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += exponent << 52;  // only the low bits of the shifted number survive: the integer n
  Four result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// log(x) for finite x >= 1e-300.
inline Four log_four(Four x) {
  FourBits bits;
  std::memcpy(&bits, &x, sizeof bits);
  const FourBits offset = bits - 0x3FE6A09E667F3BCDLL;  // the bits of sqrt(1/2)
  const FourBits exponent = offset >> 52;
  const FourBits mantissa_bits = bits - (exponent << 52);
  Four m;
  std::memcpy(&m, &mantissa_bits, sizeof m);  // in [sqrt(1/2), sqrt(2))
  const Four n = __builtin_convertvector(exponent, Four);
  const Four s = (m - 1.0) / (m + 1.0);
  const Four z = s * s;
  Four sum = z * (1.0 / 23) + 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  const Four tail = s * (z * sum);
  return n * 0.693147180369123816490 + (n * 1.90821492927058770002e-10 + 2.0 * (s + tail));
}

/// In place, n values, n a multiple of 4; each x <= 0.
inline void exp_all(double* x, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 4) store_four(x + i, exp_four(load_four(x + i)));
}
/// In place, n values, n a multiple of 4; each x >= 1e-300.
inline void log_all(double* x, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 4) store_four(x + i, log_four(load_four(x + i)));
}

}  // namespace plumbline::world::detail
