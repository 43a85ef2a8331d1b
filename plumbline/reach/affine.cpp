#include "plumbline/reach/affine.hpp"

#include "plumbline/base/result.hpp"

namespace plumbline::reach {
namespace {

constexpr double kUnit = 0x1p-53;
constexpr double kTiny = 1e-300;

/// Adds up sizes and rounds the sum up: n additions of numbers of one sign err by at most n units of the sum.
class Sizes {
 public:
  void add(double x) {
    sum_ += std::abs(x);
    ++count_;
  }
  /// k x, which may underflow to nothing.
  void add_scaled(double k, double x) {
    if (k != 0 && x != 0) add(std::abs(k * x) + kTiny);
  }
  double total() const { return sum_ == 0 ? 0 : sum_ * (1 + 2 * kUnit * (static_cast<double>(count_) + 2)) + kTiny; }
  double plain() const { return sum_; }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

/// The error of a rounded product, exactly unless it underflows.
double product_error(double a, double b, double product) {
  if (a == 0 || b == 0) return 0;
  return std::abs(product) < 1e-280 ? kTiny : std::abs(std::fma(a, b, -product));
}

double at(const Affine& a, std::size_t i) { return i < a.symbols.size() ? a.symbols[i] : 0.0; }

/// An error that is not a number means that nothing is known.
Affine& close(Affine& a) {
  if (!(a.error < kInfinity) || !std::isfinite(a.center)) {
    a.center = 0;
    a.symbols.clear();
    a.error = kInfinity;
  }
  return a;
}

/// p a + q b for p and q of 1, -1, 0.5 or -0.5, whose products are exact.
Affine combine(double p, const Affine& a, double q, const Affine& b) {
  Affine out;
  Sizes error;
  out.center = p * a.center + q * b.center;
  error.add(std::abs(sum_rest(p * a.center, q * b.center, out.center)));
  out.symbols.resize(std::max(a.symbols.size(), b.symbols.size()));
  for (std::size_t i = 0; i < out.symbols.size(); ++i) {
    const double first = p * at(a, i);
    const double second = q * at(b, i);
    out.symbols[i] = first + second;
    error.add(std::abs(sum_rest(first, second, out.symbols[i])));
  }
  error.add_scaled(p, a.error);
  error.add_scaled(q, b.error);
  out.error = error.total();
  return close(out);
}

/// An enclosure of f over the range of `a` as slope (a - centre) + value + remainder, or as a plain range, whichever
/// has the smaller error. `first`, `second`: derivative at the centre, second derivative over the range.
Affine linearised(const Affine& a, const Interval& value, const Interval& first, const Interval& second,
                  const Interval& range) {
  const double r = a.radius();
  const Affine plain(range);
  if (!std::isfinite(r) || !first.finite() || !second.finite() || !value.finite()) return plain;
  const double slope = first.mid();
  const Interval bend = Interval(0.5) * second * Interval(0, up(r * r));
  const Interval tilt = (first - Interval(slope)) * Interval(-r, r);
  Affine centred = a;
  centred.center = 0;
  Affine out = widen(Interval(slope) * centred, value + bend + tilt);
  return out.error <= plain.error ? out : plain;
}

}  // namespace

double Affine::spread() const {
  if (symbols.empty()) return 0;
  Sizes sizes;
  for (const double g : symbols) sizes.add(g);
  return sizes.total();
}

Interval Affine::range() const {
  if (symbols.empty() && error == 0) return Interval(center);
  const double r = radius();
  if (!std::isfinite(r) || !std::isfinite(center)) return Interval::whole();
  return {down(center - r), up(center + r)};
}

Affine operator+(const Affine& a, const Affine& b) {
  if (a.zero()) return b;
  if (b.zero()) return a;
  return combine(1, a, 1, b);
}
Affine operator-(const Affine& a, const Affine& b) {
  if (b.zero()) return a;
  return combine(1, a, -1, b);
}
Affine operator-(const Affine& a) {
  Affine out = a;
  out.center = -out.center;
  for (double& g : out.symbols) g = -g;
  return out;
}

Affine operator*(const Interval& k, const Affine& a) {
  if (a.zero()) return a;
  const double middle = k.mid();
  Affine out;
  Sizes error;
  Sizes size;
  out.center = middle * a.center;
  error.add(product_error(middle, a.center, out.center));
  size.add(a.center);
  out.symbols.resize(a.symbols.size());
  for (std::size_t i = 0; i < a.symbols.size(); ++i) {
    out.symbols[i] = middle * a.symbols[i];
    error.add(product_error(middle, a.symbols[i], out.symbols[i]));
    size.add(a.symbols[i]);
  }
  size.add(a.error);
  error.add_scaled(middle, a.error);
  if (k.lo != k.hi) error.add_scaled(k.rad(), size.total());
  out.error = error.total();
  return close(out);
}

Affine operator*(const Affine& a, const Affine& b) {
  if (a.zero() || b.zero()) return {};
  if (a.symbols.empty() && a.error == 0) return Interval(a.center) * b;
  if (b.symbols.empty() && b.error == 0) return Interval(b.center) * a;
  // (ac + A)(bc + B) = ac bc + ac B + bc A + A B; squares of symbols lie in [0, 1], other products in [-1, 1].
  Affine out;
  Sizes rounding;
  out.symbols.resize(std::max(a.symbols.size(), b.symbols.size()));
  double diagonal = 0;
  Sizes squares;
  Sizes first;
  Sizes second;
  for (std::size_t i = 0; i < out.symbols.size(); ++i) {
    const double ga = at(a, i);
    const double gb = at(b, i);
    out.symbols[i] = a.center * gb + b.center * ga;
    rounding.add(a.center * gb);
    rounding.add(b.center * ga);
    diagonal += ga * gb;
    squares.add(ga * gb);
    first.add(ga);
    second.add(gb);
  }
  out.center = a.center * b.center + 0.5 * diagonal;
  rounding.add(a.center * b.center);
  rounding.add(squares.total());
  const double ra = first.total();
  const double rb = second.total();
  // All products but the squares, and half of the squares' range.
  const double mixed = std::max(ra * rb * (1 + 4 * kUnit) - squares.plain(), 0.0);
  Sizes error;
  error.add(mixed);
  error.add(0.5 * squares.total());
  error.add(2 * kUnit * (static_cast<double>(out.symbols.size()) + 4) * rounding.total());
  error.add((std::abs(a.center) + ra) * b.error);
  error.add((std::abs(b.center) + rb) * a.error);
  error.add(a.error * b.error);
  error.add(8 * kUnit * ra * rb);
  error.add(kTiny);
  out.error = error.total();
  return close(out);
}

Affine operator/(const Affine& a, const Affine& b) { return a * reciprocal(b); }

Affine widen(const Affine& a, const Interval& r) {
  Affine out = a;
  const double middle = r.mid();
  out.center = a.center + middle;
  Sizes error;
  error.add(a.error);
  error.add(r.lo == r.hi ? 0 : r.rad());
  error.add(std::abs(sum_rest(a.center, middle, out.center)));
  out.error = error.total();
  return close(out);
}

Affine square(const Affine& a) { return a * a; }

Affine power(const Affine& a, int n) {
  if (n < 0) return reciprocal(power(a, -n));
  if (n == 0) return Affine(1.0);
  if (n % 2 == 0) return square(power(a, n / 2));
  return n == 1 ? a : a * power(a, n - 1);
}

Affine sin(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  return linearised(a, sin(c), cos(c), -sin(x), sin(x));
}
Affine cos(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  return linearised(a, cos(c), -sin(c), -cos(x), cos(x));
}
Affine tan(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  const Interval t = tan(x);
  const Interval one(1);
  return linearised(a, tan(c), one + square(tan(c)), Interval(2) * t * (one + square(t)), t);
}
Affine exp(const Affine& a) {
  const Interval c(a.center);
  const Interval x = exp(a.range());
  return linearised(a, exp(c), exp(c), x, x);
}
Affine log(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  const Interval one(1);
  return linearised(a, log(c), one / c, -(one / square(x)), log(x));
}
Affine sqrt(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  const Interval root = sqrt(c);
  const Interval bend = -(Interval(0.25) / (x * sqrt(x)));
  return linearised(a, root, Interval(0.5) / root, bend, sqrt(x));
}
Affine tanh(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  const Interval t = tanh(x);
  const Interval one(1);
  return linearised(a, tanh(c), one - square(tanh(c)), Interval(-2) * t * (one - square(t)), t);
}
Affine reciprocal(const Affine& a) {
  const Interval c(a.center);
  const Interval x = a.range();
  const Interval one(1);
  return linearised(a, one / c, -(one / square(c)), Interval(2) / power(x, 3), one / x);
}

Affine abs(const Affine& a) {
  const Interval x = a.range();
  if (x.lo >= 0) return a;
  if (x.hi <= 0) return -a;
  return Affine(abs(x));
}
Affine min(const Affine& a, const Affine& b) {
  const Interval gap = (a - b).range();
  if (gap.hi <= 0) return a;
  if (gap.lo >= 0) return b;
  return Affine(min(a.range(), b.range()));
}
Affine max(const Affine& a, const Affine& b) {
  const Interval gap = (a - b).range();
  if (gap.hi <= 0) return b;
  if (gap.lo >= 0) return a;
  return Affine(max(a.range(), b.range()));
}

Affine sweep(const Affine& a, const Affine& b, std::size_t symbol) {
  base::ensure(a.symbols.size() <= symbol && b.symbols.size() <= symbol, "sweep(): the symbol is taken");
  // The forms' own errors: at any time at most the larger of the two. The rest is swept without them.
  Affine first = a;
  Affine second = b;
  first.error = 0;
  second.error = 0;
  Affine out = combine(0.5, first, 0.5, second);
  // Half the difference has a centre, which the new symbol sweeps, and a spread, which it may not: that is error.
  const Affine half = combine(0.5, second, -0.5, first);
  Sizes error;
  error.add(out.error);
  error.add(half.error);
  error.add(half.spread());
  error.add(std::max(a.error, b.error));
  out.error = error.total();
  out.symbols.resize(symbol + 1, 0.0);
  out.symbols[symbol] = half.center;
  return close(out);
}

}  // namespace plumbline::reach
