#include "plumbline/reach/interval.hpp"

namespace plumbline::reach {
namespace {

constexpr double kPi = 3.141592653589793;

/// A library value, widened by more than the library errs.
double above(double x) { return up(x + std::abs(x) * 0x1p-50); }
double below(double x) { return down(x - std::abs(x) * 0x1p-50); }

/// Some offset + 2 pi k may lie in the interval. Errs towards yes by more than argument and period are rounded.
bool may_hold(const Interval& a, double offset) {
  const double slack = 1e-9 + 1e-12 * a.mag();
  return std::floor((a.hi + slack - offset) / (2 * kPi)) >= std::ceil((a.lo - slack - offset) / (2 * kPi));
}

/// sin or cos: extremes of `offset` (1) and `offset` + pi (-1), values at the ends.
Interval wave(const Interval& a, double at_lo, double at_hi, double top) {
  if (!a.finite() || a.width() >= 2 * kPi) return {-1, 1};
  double low = below(std::min(at_lo, at_hi));
  double high = above(std::max(at_lo, at_hi));
  if (may_hold(a, top)) high = 1;
  if (may_hold(a, top + kPi)) low = -1;
  return {std::max(low, -1.0), std::min(high, 1.0)};
}

}  // namespace

Interval operator*(const Interval& a, const Interval& b) {
  const double p = a.lo * b.lo;
  const double q = a.lo * b.hi;
  const double r = a.hi * b.lo;
  const double s = a.hi * b.hi;
  if (std::isnan(p) || std::isnan(q) || std::isnan(r) || std::isnan(s)) return Interval::whole();
  return {down(std::min(std::min(p, q), std::min(r, s))), up(std::max(std::max(p, q), std::max(r, s)))};
}

Interval operator/(const Interval& a, const Interval& b) {
  if (b.lo <= 0 && b.hi >= 0) return Interval::whole();
  return a * Interval(down(1 / b.hi), up(1 / b.lo));
}

Interval intersect(const Interval& a, const Interval& b) {
  const double lo = std::max(a.lo, b.lo);
  const double hi = std::min(a.hi, b.hi);
  return lo <= hi ? Interval(lo, hi) : a;
}

Interval square(const Interval& a) {
  const double p = a.lo * a.lo;
  const double q = a.hi * a.hi;
  if (a.lo <= 0 && a.hi >= 0) return {0, up(std::max(p, q))};
  return {std::max(down(std::min(p, q)), 0.0), up(std::max(p, q))};
}

Interval power(const Interval& a, int n) {
  if (n < 0) return Interval(1) / power(a, -n);
  if (n == 0) return Interval(1);
  // The squares are dependent: they are taken as squares, and an odd factor last.
  if (n % 2 == 0) return square(power(a, n / 2));
  return n == 1 ? a : a * power(a, n - 1);
}

Interval sin(const Interval& a) { return wave(a, std::sin(a.lo), std::sin(a.hi), kPi / 2); }
Interval cos(const Interval& a) { return wave(a, std::cos(a.lo), std::cos(a.hi), 0); }

Interval tan(const Interval& a) {
  if (!a.finite() || a.width() >= kPi || may_hold(a, kPi / 2) || may_hold(a, -kPi / 2)) return Interval::whole();
  return {below(std::tan(a.lo)), above(std::tan(a.hi))};
}

Interval exp(const Interval& a) { return {std::max(below(std::exp(a.lo)), 0.0), above(std::exp(a.hi))}; }

Interval log(const Interval& a) {
  if (!(a.lo > 0)) return Interval::whole();
  return {below(std::log(a.lo)), above(std::log(a.hi))};
}

Interval sqrt(const Interval& a) {
  if (!(a.lo >= 0)) return Interval::whole();
  return {std::max(below(std::sqrt(a.lo)), 0.0), above(std::sqrt(a.hi))};
}

Interval tanh(const Interval& a) {
  return {std::max(below(std::tanh(a.lo)), -1.0), std::min(above(std::tanh(a.hi)), 1.0)};
}

Interval abs(const Interval& a) {
  if (a.lo >= 0) return a;
  if (a.hi <= 0) return -a;
  return {0, a.mag()};
}

Interval min(const Interval& a, const Interval& b) { return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)}; }
Interval max(const Interval& a, const Interval& b) { return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)}; }

}  // namespace plumbline::reach
