#pragma once
/// Intervals of real numbers with outward rounding: every operation holds all results of operands inside.
/// Empty domains (a division by an interval around zero, a root of negatives) give the whole line, never an error.
/// Source: Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM 2009, ch. 2 and 5.

#include <algorithm>
#include <cmath>
#include <limits>

namespace plumbline::reach {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A double above x, or equal where x is infinite: at least the next one.
inline double up(double x) { return x + (std::abs(x) * 0x1p-52 + 0x1p-1074); }
inline double down(double x) { return x - (std::abs(x) * 0x1p-52 + 0x1p-1074); }

struct Interval {
  double lo = 0;
  double hi = 0;

  Interval() = default;
  Interval(double low, double high) : lo(low), hi(high) { sanitise(); }
  explicit Interval(double point) : lo(point), hi(point) { sanitise(); }

  static Interval whole() { return {-kInfinity, kInfinity}; }

  double mid() const {
    const double m = 0.5 * lo + 0.5 * hi;
    return std::isfinite(m) ? m : 0.0;
  }
  /// At least the distance from mid() to either end.
  double rad() const { return up(std::max(hi - mid(), mid() - lo)); }
  double width() const { return up(hi - lo); }
  double mag() const { return std::max(std::abs(lo), std::abs(hi)); }
  bool contains(double x) const { return lo <= x && x <= hi; }
  bool contains(const Interval& other) const { return lo <= other.lo && other.hi <= hi; }
  bool finite() const { return std::isfinite(lo) && std::isfinite(hi); }

 private:
  /// NaN means that nothing is known.
  void sanitise() {
    if (!(lo <= hi)) {
      lo = -kInfinity;
      hi = kInfinity;
    }
  }
};

/// What a rounded sum leaves out, exactly (Knuth): sums without rounding are not widened, so that zero stays zero.
inline double sum_rest(double a, double b, double sum) {
  const double part = sum - a;
  return (a - (sum - part)) + (b - part);
}
inline double sum_down(double a, double b) {
  const double sum = a + b;
  return sum_rest(a, b, sum) >= 0 ? sum : down(sum);
}
inline double sum_up(double a, double b) {
  const double sum = a + b;
  return sum_rest(a, b, sum) <= 0 ? sum : up(sum);
}

inline Interval operator+(const Interval& a, const Interval& b) { return {sum_down(a.lo, b.lo), sum_up(a.hi, b.hi)}; }
inline Interval operator-(const Interval& a, const Interval& b) { return {sum_down(a.lo, -b.hi), sum_up(a.hi, -b.lo)}; }
inline Interval operator-(const Interval& a) { return {-a.hi, -a.lo}; }
Interval operator*(const Interval& a, const Interval& b);
Interval operator/(const Interval& a, const Interval& b);
inline Interval hull(const Interval& a, const Interval& b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }
/// Of two enclosures of one number, which must meet.
Interval intersect(const Interval& a, const Interval& b);

Interval square(const Interval& a);
/// a^n, n of either sign.
Interval power(const Interval& a, int n);
// Library functions are widened by four units in the last place, more than glibc states for any of them.
Interval sin(const Interval& a);
Interval cos(const Interval& a);
Interval tan(const Interval& a);
Interval exp(const Interval& a);
Interval log(const Interval& a);
Interval sqrt(const Interval& a);
Interval tanh(const Interval& a);
Interval abs(const Interval& a);
Interval min(const Interval& a, const Interval& b);
Interval max(const Interval& a, const Interval& b);

}  // namespace plumbline::reach
