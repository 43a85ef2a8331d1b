#pragma once
/// Programs over numbers, intervals and affine forms: one value each, or the coefficients of a Taylor series in time.
/// For the sources of this room.

#include <cmath>
#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/affine.hpp"
#include "plumbline/reach/expression.hpp"

namespace plumbline::reach::detail {

enum class Truth { kNo, kYes, kMaybe };

inline Interval range_of(double x) { return Interval(x); }
inline Interval range_of(const Interval& x) { return x; }
inline Interval range_of(const Affine& x) { return x.range(); }

inline double from_constant(const Node& node, const double* /*like*/) { return node.value; }
inline Interval from_constant(const Node& node, const Interval* /*like*/) { return node.constant; }
inline Affine from_constant(const Node& node, const Affine* /*like*/) { return Affine(node.constant); }

inline double scaled(double k, double x) { return k * x; }
inline Interval scaled(double k, const Interval& x) { return Interval(k) * x; }
inline Affine scaled(double k, const Affine& x) { return Interval(k) * x; }
/// x / k for a whole number k.
inline double divided(double x, int k) { return x / k; }
inline Interval divided(const Interval& x, int k) { return x / Interval(k); }
inline Affine divided(const Affine& x, int k) { return k == 1 ? x : (Interval(1) / Interval(k)) * x; }

inline double square(double x) { return x * x; }
inline double power(double x, int n) { return std::pow(x, n); }
inline double reciprocal(double x) { return 1 / x; }
inline Interval reciprocal(const Interval& x) { return Interval(1) / x; }

inline double min_of(double a, double b) { return std::min(a, b); }
inline double max_of(double a, double b) { return std::max(a, b); }
inline Interval min_of(const Interval& a, const Interval& b) { return reach::min(a, b); }
inline Interval max_of(const Interval& a, const Interval& b) { return reach::max(a, b); }
inline Affine min_of(const Affine& a, const Affine& b) { return reach::min(a, b); }
inline Affine max_of(const Affine& a, const Affine& b) { return reach::max(a, b); }

inline double either(double a, double /*b*/) { return a; }
inline Interval either(const Interval& a, const Interval& b) { return hull(a, b); }
inline Affine either(const Affine& a, const Affine& b) { return Affine(hull(a.range(), b.range())); }
inline double nothing_known(const double* /*like*/) { return std::nan(""); }
inline Interval nothing_known(const Interval* /*like*/) { return Interval::whole(); }
inline Affine nothing_known(const Affine* /*like*/) { return Affine(Interval::whole()); }

inline Truth truth_of(bool yes, bool no) { return yes ? Truth::kYes : no ? Truth::kNo : Truth::kMaybe; }

template <class T>
Truth compare(Op op, const T& a, const T& b) {
  const Interval first = range_of(a);
  const Interval second = range_of(b);
  if (op == Op::kEqual) {
    const bool same = first.lo == first.hi && second.lo == second.hi && first.lo == second.lo;
    return truth_of(same, first.hi < second.lo || second.hi < first.lo);
  }
  const Interval gap = range_of(b - a);  // knows what both share
  const bool above = gap.lo > 0;
  const bool under = gap.hi < 0;
  if (op == Op::kLess) return truth_of(above || first.hi < second.lo, under || first.lo >= second.hi);
  return truth_of(above || first.hi <= second.lo, under || first.lo > second.hi);
}

inline Truth combine(Op op, Truth a, Truth b) {
  const Truth decisive = op == Op::kAnd ? Truth::kNo : Truth::kYes;
  if (a == decisive || b == decisive) return decisive;
  return a == Truth::kMaybe || b == Truth::kMaybe ? Truth::kMaybe : a;
}

/// pick(i, a, b, ...): the i-th, counted from 1.
template <class T>
T picked(const Node& node, const std::vector<T>& values) {
  const Interval index = range_of(values[node.from[0]]);
  const auto count = static_cast<double>(node.from.size() - 1);
  const double first = std::ceil(index.lo);
  const double last = std::floor(index.hi);
  if (!(first >= 1 && last <= count && first <= last)) return nothing_known(static_cast<const T*>(nullptr));
  T out = values[node.from[static_cast<std::size_t>(first)]];
  for (double i = first + 1; i <= last; ++i) out = either(out, values[node.from[static_cast<std::size_t>(i)]]);
  return out;
}

/// One value for each output. A condition that cannot be decided gives the hull of both branches.
template <class T>
std::vector<T> evaluate(const Program& program, std::span<const T> variables) {
  using std::abs, std::cos, std::exp, std::log, std::sin, std::sqrt, std::tan, std::tanh;
  std::vector<T> values(program.nodes.size());
  std::vector<Truth> truths(program.nodes.size(), Truth::kNo);
  for (std::size_t i = 0; i < program.nodes.size(); ++i) {
    const Node& node = program.nodes[i];
    const auto a = [&]() -> const T& { return values[node.from[0]]; };
    const auto b = [&]() -> const T& { return values[node.from[1]]; };
    switch (node.op) {
      case Op::kConstant: values[i] = from_constant(node, static_cast<const T*>(nullptr)); break;
      case Op::kVariable: values[i] = variables[node.variable]; break;
      case Op::kAdd: values[i] = a() + b(); break;
      case Op::kSub: values[i] = a() - b(); break;
      case Op::kMul: values[i] = node.from[0] == node.from[1] ? square(a()) : a() * b(); break;
      case Op::kDiv: values[i] = a() / b(); break;
      case Op::kNeg: values[i] = -a(); break;
      case Op::kPower: values[i] = power(a(), node.exponent); break;
      case Op::kSin: values[i] = sin(a()); break;
      case Op::kCos: values[i] = cos(a()); break;
      case Op::kTan: values[i] = tan(a()); break;
      case Op::kExp: values[i] = exp(a()); break;
      case Op::kLog: values[i] = log(a()); break;
      case Op::kSqrt: values[i] = sqrt(a()); break;
      case Op::kTanh: values[i] = tanh(a()); break;
      case Op::kAbs: values[i] = abs(a()); break;
      case Op::kMin: values[i] = min_of(a(), b()); break;
      case Op::kMax: values[i] = max_of(a(), b()); break;
      case Op::kLess:
      case Op::kLessEqual:
      case Op::kEqual: truths[i] = compare(node.op, a(), b()); break;
      case Op::kAnd:
      case Op::kOr: truths[i] = combine(node.op, truths[node.from[0]], truths[node.from[1]]); break;
      case Op::kNot: {
        const Truth inner = truths[node.from[0]];
        truths[i] = inner == Truth::kMaybe ? inner : inner == Truth::kYes ? Truth::kNo : Truth::kYes;
        break;
      }
      case Op::kIf: {
        const Truth condition = truths[node.from[0]];
        const T& yes = values[node.from[1]];
        const T& no = values[node.from[2]];
        values[i] = condition == Truth::kYes ? yes : condition == Truth::kNo ? no : either(yes, no);
        break;
      }
      case Op::kPick: values[i] = picked(node, values); break;
    }
  }
  std::vector<T> out;
  out.reserve(program.outputs.size());
  for (const std::size_t o : program.outputs) out.push_back(values[o]);
  return out;
}

/// Taylor coefficients in time of x' = f(x, constants): state i is variable i and output i of the program.
/// Source: Moore et al. 2009, ch. 9; the recurrences are those of automatic differentiation.
template <class T>
class Series {
 public:
  /// Precondition: program.smooth(). `variables`: state first, then what stays constant.
  Series(const Program& program, std::span<const T> variables, std::size_t states, int order)
      : program_(program), states_(states), nodes_(program.nodes.size()), partner_(program.nodes.size()) {
    x_.resize(variables.size());
    for (std::size_t v = 0; v < variables.size(); ++v) x_[v].push_back(variables[v]);
    for (int k = 0; k < order; ++k) {
      for (std::size_t i = 0; i < program.nodes.size(); ++i) nodes_[i].push_back(coefficient(i, k));
      for (std::size_t v = 0; v < variables.size(); ++v)
        x_[v].push_back(v < states ? divided(nodes_[program.outputs[v]][static_cast<std::size_t>(k)], k + 1) : T{});
    }
  }
  /// Coefficient k of state i, k from 0 to the order.
  const T& state(std::size_t i, int k) const { return x_[i][static_cast<std::size_t>(k)]; }

 private:
  /// Sum of a_j b_{k-j} for j from `first` to `last`.
  static T convolve(const std::vector<T>& a, const std::vector<T>& b, int k, int first, int last) {
    T sum{};
    for (int j = first; j <= last; ++j) sum = sum + a[static_cast<std::size_t>(j)] * b[static_cast<std::size_t>(k - j)];
    return sum;
  }
  /// Sum of j a_j b_{k-j}, j from 1 to `last`.
  static T weighted(const std::vector<T>& a, const std::vector<T>& b, int k, int last) {
    T sum{};
    for (int j = 1; j <= last; ++j)
      sum = sum + scaled(j, a[static_cast<std::size_t>(j)]) * b[static_cast<std::size_t>(k - j)];
    return sum;
  }
  /// Coefficient k of a product of a series with itself.
  static T self_product(const std::vector<T>& a, int k) {
    T sum{};
    for (int j = 0; 2 * j < k; ++j)
      sum = sum + scaled(2, a[static_cast<std::size_t>(j)] * a[static_cast<std::size_t>(k - j)]);
    if (k % 2 == 0) sum = sum + square(a[static_cast<std::size_t>(k / 2)]);
    return sum;
  }

  T coefficient(std::size_t i, int k) {
    using std::cos, std::exp, std::log, std::sin, std::sqrt, std::tan, std::tanh;
    const Node& node = program_.nodes[i];
    const auto at = static_cast<std::size_t>(k);
    if (node.op == Op::kConstant) return k == 0 ? from_constant(node, static_cast<const T*>(nullptr)) : T{};
    if (node.op == Op::kVariable) return x_[node.variable][at];
    const std::vector<T>& a = nodes_[node.from[0]];
    const std::vector<T>& b = nodes_[node.from.back()];
    const std::vector<T>& own = nodes_[i];
    std::vector<T>& partner = partner_[i];
    switch (node.op) {
      case Op::kAdd: return a[at] + b[at];
      case Op::kSub: return a[at] - b[at];
      case Op::kNeg: return -a[at];
      case Op::kMul: return node.from[0] == node.from[1] ? self_product(a, k) : convolve(a, b, k, 0, k);
      case Op::kDiv:
        if (k == 0) partner.push_back(reciprocal(b[0]));
        return (a[at] - convolve(own, b, k, 0, k - 1)) * partner[0];
      case Op::kPower: return power_coefficient(i, k);
      case Op::kSin:
      case Op::kCos: {
        const bool sine = node.op == Op::kSin;
        if (k == 0) {
          partner.push_back(sine ? cos(a[0]) : sin(a[0]));
          return sine ? sin(a[0]) : cos(a[0]);
        }
        // s' = c x', c' = -s x'.
        T first = divided(weighted(a, partner, k, k), k);
        T second = divided(weighted(a, own, k, k), k);
        partner.push_back(sine ? -second : second);
        return sine ? first : -first;
      }
      case Op::kTan:
      case Op::kTanh: {
        // t' = (1 +- t^2) x'; the partner is 1 +- t^2.
        const bool circular = node.op == Op::kTan;
        T value = k == 0 ? (circular ? tan(a[0]) : tanh(a[0])) : divided(weighted(a, partner, k, k), k);
        std::vector<T> known = own;
        known.push_back(value);
        T squares = self_product(known, k);
        if (!circular) squares = -squares;
        Node one;
        one.constant = Interval(1);
        one.value = 1;
        partner.push_back(k == 0 ? from_constant(one, static_cast<const T*>(nullptr)) + squares : squares);
        return value;
      }
      case Op::kExp: return k == 0 ? exp(a[0]) : divided(weighted(a, own, k, k), k);
      case Op::kLog:
        if (k == 0) {
          partner.push_back(reciprocal(a[0]));
          return log(a[0]);
        }
        return (a[at] - divided(weighted(own, a, k, k - 1), k)) * partner[0];
      case Op::kSqrt:
        if (k == 0) {
          T root = sqrt(a[0]);
          partner.push_back(divided(reciprocal(root), 2));
          return root;
        }
        return (a[at] - convolve(own, own, k, 1, k - 1)) * partner[0];
      default: throw base::InternalError("Series: the program is not smooth");
    }
  }

  /// x^n for n of either sign, as x^n' x = n x^n x' where x is away from zero, else by products.
  T power_coefficient(std::size_t i, int k) {
    const Node& node = program_.nodes[i];
    const std::vector<T>& a = nodes_[node.from[0]];
    const int n = node.exponent;
    if (n == 1) return a[static_cast<std::size_t>(k)];
    if (n == 2) return self_product(a, k);
    if (k == 0) return power(a[0], n);
    // Coefficients of x^(|n|) by repeated products; a negative power divides 1 by that.
    std::vector<T> raised = raise(a, std::abs(n), k);
    if (n >= 0) return raised[static_cast<std::size_t>(k)];
    return -(convolve(nodes_[i], raised, k, 0, k - 1) * reciprocal(raised[0]));
  }
  static std::vector<T> raise(const std::vector<T>& a, int n, int k) {
    std::vector<T> out(static_cast<std::size_t>(k) + 1);
    if (n == 0) {
      Node one;
      one.constant = Interval(1);
      one.value = 1;
      out[0] = from_constant(one, static_cast<const T*>(nullptr));
      return out;
    }
    if (n == 1) return a;
    const std::vector<T> half = raise(a, n / 2, k);
    for (int j = 0; j <= k; ++j) out[static_cast<std::size_t>(j)] = self_product(half, j);
    if (n % 2 == 0) return out;
    std::vector<T> odd(out.size());
    for (int j = 0; j <= k; ++j) odd[static_cast<std::size_t>(j)] = convolve(out, a, j, 0, j);
    return odd;
  }

  const Program& program_;
  std::size_t states_;
  std::vector<std::vector<T>> x_;
  std::vector<std::vector<T>> nodes_;
  std::vector<std::vector<T>> partner_;
};

}  // namespace plumbline::reach::detail
