#pragma once
/// Affine forms: a quantity as centre + sum of coefficient_i s_i + error s, all s in [-1, 1]. The symbols s_i are
/// shared by all forms of one computation, so that dependencies between quantities survive; the last one is the form's
/// own. Rounding, and what a nonlinear function differs from its linear part, go into the error. Source: Stolfi, de
/// Figueiredo, Self-Validated Numerical Methods and Applications, IMPA 1997, ch. 3.

#include <cstddef>
#include <vector>

#include "plumbline/reach/interval.hpp"

namespace plumbline::reach {

struct Affine {
  double center = 0;
  std::vector<double> symbols;  ///< may be shorter than another form's: the rest is 0
  double error = 0;             ///< at least 0; infinite when nothing is known

  Affine() = default;
  explicit Affine(const Interval& range) : center(range.mid()), error(range.lo == range.hi ? 0 : range.rad()) {}
  explicit Affine(double value) : center(value) {}

  bool zero() const { return center == 0 && error == 0 && symbols.empty(); }
  /// Sum of the coefficients' sizes, rounded up, without the error.
  double spread() const;
  /// spread() + error.
  double radius() const { return up(spread() + error); }
  Interval range() const;
};

Affine operator+(const Affine& a, const Affine& b);
Affine operator-(const Affine& a, const Affine& b);
Affine operator-(const Affine& a);
Affine operator*(const Affine& a, const Affine& b);
/// The number of an interval is one and the same wherever it stands: its middle scales, its radius is error.
Affine operator*(const Interval& k, const Affine& a);
Affine operator/(const Affine& a, const Affine& b);
/// a + r with r anywhere in the interval.
Affine widen(const Affine& a, const Interval& r);

Affine square(const Affine& a);
Affine power(const Affine& a, int n);
Affine sin(const Affine& a);
Affine cos(const Affine& a);
Affine tan(const Affine& a);
Affine exp(const Affine& a);
Affine log(const Affine& a);
Affine sqrt(const Affine& a);
Affine tanh(const Affine& a);
Affine reciprocal(const Affine& a);
Affine abs(const Affine& a);
Affine min(const Affine& a, const Affine& b);
Affine max(const Affine& a, const Affine& b);

/// Both, and everything between them that one symbol sweeps: (a + b) / 2 + s (b - a) / 2 with s a symbol of its own at
/// index `symbol`, shared by all forms swept with it. Holds every a + t (b - a), t in [0, 1].
Affine sweep(const Affine& a, const Affine& b, std::size_t symbol);

}  // namespace plumbline::reach
