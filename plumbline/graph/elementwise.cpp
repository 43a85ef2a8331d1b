/// Operators that act on one element at a time, with broadcasting.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;

/// f(double) on a real tensor.
template <class F>
Tensors map_real(const Call& call, F f) {
  const Tensor& x = call.real_in(0);
  Tensor y{.type = x.type, .shape = x.shape, .reals = x.reals, .integers = {}};
  for (double& value : y.reals) value = f(value);
  return {std::move(y)};
}

/// f on a real or an integer tensor; integer results wrap to the type.
template <class F, class G>
Tensors map_any(const Call& call, F f, G g) {
  const Tensor& x = call.in(0);
  if (x.is_real()) return map_real(call, f);
  Tensor y{.type = x.type, .shape = x.shape, .reals = {}, .integers = x.integers};
  for (std::int64_t& value : y.integers) value = wrap(x.type, g(value));
  return {std::move(y)};
}

/// out[i] = f(a[i], b[i]) with broadcasting; a, b and out are the tensors' value arrays.
template <class A, class B, class R, class F>
void zip(const Shape& shape, const std::vector<A>& a, const Shape& a_shape, const std::vector<B>& b,
         const Shape& b_shape, std::vector<R>& out, F f) {
  if (a_shape == shape && b_shape == shape) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(a[i], b[i]);
    return;
  }
  const Shape a_strides = broadcast_strides(a_shape, shape);
  const Shape b_strides = broadcast_strides(b_shape, shape);
  const std::size_t last = shape.size() - 1;  // rank 0 has equal shapes and returned above
  Shape outer(shape.begin(), shape.end() - 1);
  Shape a_outer(a_strides.begin(), a_strides.end() - 1);
  const auto width = static_cast<std::size_t>(shape[last]);
  const auto a_step = static_cast<std::size_t>(a_strides[last]);
  const auto b_step = static_cast<std::size_t>(b_strides[last]);
  if (out.empty()) return;
  std::vector<std::int64_t> b_rows;
  Shape b_outer(b_strides.begin(), b_strides.end() - 1);
  for_each_offset(outer, b_outer, 0, [&](std::int64_t at) { b_rows.push_back(at); });
  std::size_t row = 0;
  for_each_offset(outer, a_outer, 0, [&](std::int64_t at) {
    const A* x = a.data() + at;
    const B* y = b.data() + b_rows[row];
    R* z = out.data() + row * width;
    for (std::size_t i = 0; i < width; ++i) z[i] = f(x[i * a_step], y[i * b_step]);
    ++row;
  });
}

void same_type(const Tensor& a, const Tensor& b) {
  if (a.type != b.type) {
    fail(Code::kValue, fmt::format("inputs have different types, {} and {}", type_name(a.type), type_name(b.type)));
  }
}

template <class F, class G>
Tensor combine(const Call& call, const Tensor& a, const Tensor& b, F f, G g) {
  same_type(a, b);
  Tensor out = call.make(a.type, broadcast_shape(a.shape, b.shape));
  if (a.is_real()) {
    zip(out.shape, a.reals, a.shape, b.reals, b.shape, out.reals, f);
  } else {
    zip(out.shape, a.integers, a.shape, b.integers, b.shape, out.integers,
        [&](std::int64_t x, std::int64_t y) { return wrap(a.type, g(x, y)); });
  }
  return out;
}

/// Truth values of a comparison of two tensors of one type.
template <class F>
Tensors compare(const Call& call, F f) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  same_type(a, b);
  Tensor out = call.make(Type::kBool, broadcast_shape(a.shape, b.shape));
  if (a.is_real()) {
    zip(out.shape, a.reals, a.shape, b.reals, b.shape, out.integers,
        [&](double x, double y) -> std::int64_t { return f(x, y) ? 1 : 0; });
  } else {
    zip(out.shape, a.integers, a.shape, b.integers, b.shape, out.integers,
        [&](std::int64_t x, std::int64_t y) -> std::int64_t { return f(x, y) ? 1 : 0; });
  }
  return {std::move(out)};
}

template <class F>
Tensors logic(const Call& call, F f) {
  for (const std::size_t i : {0U, 1U}) {
    if (call.in(i).type != Type::kBool) fail(Code::kValue, fmt::format("input {} must be bool", i));
  }
  return compare(call, f);
}

// Integer arithmetic wraps, as the element type of the file does; unsigned arithmetic keeps it defined.
std::int64_t wrap_add(std::int64_t x, std::int64_t y) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) + static_cast<std::uint64_t>(y));
}
std::int64_t wrap_sub(std::int64_t x, std::int64_t y) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y));
}
std::int64_t wrap_mul(std::int64_t x, std::int64_t y) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
}
std::int64_t divide(std::int64_t x, std::int64_t y) {
  if (y == 0) fail(Code::kValue, "integer division by zero");
  return y == -1 ? wrap_sub(0, x) : x / y;
}
std::int64_t remainder(std::int64_t x, std::int64_t y, bool sign_of_dividend) {
  if (y == 0) fail(Code::kValue, "integer division by zero");
  if (y == -1) return 0;
  const std::int64_t rest = x % y;
  return !sign_of_dividend && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

double larger(double x, double y) { return std::isnan(x) || x > y ? x : y; }
double smaller(double x, double y) { return std::isnan(x) || x < y ? x : y; }

template <class F, class G>
Tensors fold(const Call& call, F f, G g) {
  Tensor all = call.in(0);
  for (std::size_t i = 1; i < call.inputs.size(); ++i) all = combine(call, all, call.in(i), f, g);
  return {std::move(all)};
}

Tensors add(const Call& call) { return {combine(call, call.in(0), call.in(1), std::plus<>(), wrap_add)}; }
Tensors sub(const Call& call) { return {combine(call, call.in(0), call.in(1), std::minus<>(), wrap_sub)}; }
Tensors mul(const Call& call) { return {combine(call, call.in(0), call.in(1), std::multiplies<>(), wrap_mul)}; }
Tensors div(const Call& call) { return {combine(call, call.in(0), call.in(1), std::divides<>(), divide)}; }

Tensors mod(const Call& call) {
  const bool fmod = call.flag("fmod", false);
  if (call.in(0).is_real() && !fmod) fail(Code::kValue, "fmod must be 1 for real inputs");
  return {combine(
      call, call.in(0), call.in(1), [](double x, double y) { return std::fmod(x, y); },
      [&](std::int64_t x, std::int64_t y) { return remainder(x, y, fmod); })};
}

Tensors pow(const Call& call) {
  const Tensor& base = call.in(0);
  const Tensor& exponent = call.in(1);
  const Shape shape = broadcast_shape(base.shape, exponent.shape);
  Tensor out = call.make(base.type, shape);
  const auto power = [](double x, double y) { return std::pow(x, y); };
  if (!base.is_real() && !exponent.is_real()) {
    zip(shape, base.integers, base.shape, exponent.integers, exponent.shape, out.integers,
        [&](std::int64_t x, std::int64_t y) -> std::int64_t {
          if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
          std::int64_t value = 1;
          for (; y != 0; y /= 2, x = wrap_mul(x, x)) {
            if (y % 2 != 0) value = wrap_mul(value, x);
          }
          return wrap(base.type, value);
        });
    return {std::move(out)};
  }
  Tensor real = call.make(Type::kDouble, shape);
  zip(shape, as_reals(base), base.shape, as_reals(exponent), exponent.shape, real.reals, power);
  real = convert(call, real, base.is_real() ? Type::kDouble : base.type);
  real.type = base.type;
  return {std::move(real)};
}

Tensors sum(const Call& call) { return fold(call, std::plus<>(), wrap_add); }
Tensors maximum(const Call& call) {
  return fold(call, larger, [](std::int64_t x, std::int64_t y) { return std::max(x, y); });
}
Tensors minimum(const Call& call) {
  return fold(call, smaller, [](std::int64_t x, std::int64_t y) { return std::min(x, y); });
}
Tensors mean(const Call& call) {
  call.real_in(0);
  Tensors total = sum(call);
  for (double& value : total[0].reals) value /= static_cast<double>(call.inputs.size());
  return total;
}

Tensors clip(const Call& call) {
  const Tensor& x = call.in(0);
  const bool inputs = call.opset >= 11;
  if (x.is_real()) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double low = inputs ? (call.has(1) ? call.scalar(1) : -kInfinity) : call.real("min", -kInfinity);
    const double high = inputs ? (call.has(2) ? call.scalar(2) : kInfinity) : call.real("max", kInfinity);
    return map_real(call, [&](double v) { return smaller(larger(v, low), high); });
  }
  const std::int64_t low = call.has(1) ? call.integer_scalar(1) : std::numeric_limits<std::int64_t>::min();
  const std::int64_t high = call.has(2) ? call.integer_scalar(2) : std::numeric_limits<std::int64_t>::max();
  return map_any(
      call, [](double v) { return v; }, [&](std::int64_t v) { return std::min(std::max(v, low), high); });
}

Type type_of_code(std::int64_t code) {
  switch (code) {
    case 1: return Type::kFloat;
    case 2: return Type::kUint8;
    case 3: return Type::kInt8;
    case 6: return Type::kInt32;
    case 7: return Type::kInt64;
    case 9: return Type::kBool;
    case 10: return Type::kFloat16;
    case 11: return Type::kDouble;
    default: fail(Code::kUnsupported, fmt::format("element type {} is not held", code));
  }
}

Tensors cast(const Call& call) { return {convert(call, call.in(0), type_of_code(call.integer("to", 0)))}; }
Tensors cast_like(const Call& call) { return {convert(call, call.in(0), call.in(1).type)}; }

Tensors dropout(const Call& call) {
  const Tensor& x = call.real_in(0);
  if (call.opset >= 12 && call.has(2) && call.integer_scalar(2) != 0) {
    const double ratio = call.has(1) ? call.scalar(1) : 0.5;
    if (ratio != 0) fail(Code::kUnsupported, "training mode is not held");
  }
  Tensors out{x};
  if (call.wants(1)) {
    Tensor mask = call.make(call.opset >= 10 ? Type::kBool : x.type, x.shape);
    std::fill(mask.reals.begin(), mask.reals.end(), 1.0);
    std::fill(mask.integers.begin(), mask.integers.end(), 1);
    out.push_back(std::move(mask));
  }
  return out;
}

Tensors prelu(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& slope = call.in(1);
  broadcast_strides(slope.shape, x.shape);  // one direction only
  return {combine(
      call, x, slope, [](double v, double s) { return v < 0 ? s * v : v; },
      [](std::int64_t v, std::int64_t s) { return v < 0 ? wrap_mul(s, v) : v; })};
}

Tensors where(const Call& call) {
  const Tensor& condition = call.in(0);
  const Tensor& x = call.in(1);
  const Tensor& y = call.in(2);
  if (condition.type != Type::kBool) fail(Code::kValue, "input 0 must be bool");
  same_type(x, y);
  const Shape shape = broadcast_shape(condition.shape, broadcast_shape(x.shape, y.shape));
  const Tensor c = strided(call, condition, shape, broadcast_strides(condition.shape, shape));
  Tensor out = strided(call, x, shape, broadcast_strides(x.shape, shape));
  const Tensor other = strided(call, y, shape, broadcast_strides(y.shape, shape));
  for (std::size_t i = 0; i < c.integers.size(); ++i) {
    if (c.integers[i] != 0) continue;
    if (out.is_real()) {
      out.reals[i] = other.reals[i];
    } else {
      out.integers[i] = other.integers[i];
    }
  }
  return {std::move(out)};
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

Tensors gelu(const Call& call) {
  const std::string kind = call.text("approximate", "none");
  if (kind == "none") return map_real(call, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); });
  if (kind != "tanh") fail(Code::kValue, fmt::format("attribute 'approximate' is '{}', expected none or tanh", kind));
  const double scale = std::sqrt(2 / 3.14159265358979323846);
  return map_real(call, [&](double x) { return 0.5 * x * (1 + std::tanh(scale * (x + 0.044715 * x * x * x))); });
}

Tensors elu(const Call& call) {
  const double alpha = call.real("alpha", 1.0);
  return map_real(call, [&](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
Tensors celu(const Call& call) {
  const double alpha = call.real("alpha", 1.0);
  return map_real(call, [&](double x) { return larger(x, 0) + smaller(0, alpha * std::expm1(x / alpha)); });
}
Tensors selu(const Call& call) {
  const double alpha = call.real("alpha", 1.67326319217681884765625);
  const double gamma = call.real("gamma", 1.05070102214813232421875);
  return map_real(call, [&](double x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); });
}
Tensors leaky_relu(const Call& call) {
  const double alpha = call.real("alpha", 0.01);
  return map_real(call, [&](double x) { return x < 0 ? alpha * x : x; });
}
Tensors thresholded_relu(const Call& call) {
  const double alpha = call.real("alpha", 1.0);
  return map_real(call, [&](double x) { return x > alpha ? x : 0.0; });
}
Tensors hard_sigmoid(const Call& call) {
  const double alpha = call.real("alpha", 0.2);
  const double beta = call.real("beta", 0.5);
  return map_real(call, [&](double x) { return larger(0, smaller(1, alpha * x + beta)); });
}

Tensors absolute(const Call& call) {
  return map_any(
      call, [](double x) { return std::fabs(x); }, [](std::int64_t x) { return x < 0 ? wrap_sub(0, x) : x; });
}
Tensors negate(const Call& call) {
  return map_any(
      call, [](double x) { return -x; }, [](std::int64_t x) { return wrap_sub(0, x); });
}
Tensors relu(const Call& call) {
  return map_any(
      call, [](double x) { return larger(x, 0); }, [](std::int64_t x) { return std::max<std::int64_t>(x, 0); });
}
Tensors sign(const Call& call) {
  return map_any(
      call, [](double x) { return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0)); },
      [](std::int64_t x) -> std::int64_t { return (x > 0) - (x < 0); });
}
Tensors logical_not(const Call& call) {
  if (call.in(0).type != Type::kBool) fail(Code::kValue, "input 0 must be bool");
  return map_any(
      call, [](double x) { return x; }, [](std::int64_t x) -> std::int64_t { return x == 0 ? 1 : 0; });
}

template <double (*F)(double)>
Tensors unary(const Call& call) {
  return map_real(call, F);
}

const Operator kOperators[] = {
    {"Abs", 6, "", absolute},
    {"Add", 7, "", add},
    {"And", 7, "", [](const Call& c) { return logic(c, [](auto x, auto y) { return x != 0 && y != 0; }); }},
    {"Cast", 6, "to saturate", cast, "types float, double, float16, int8, int32, int64, uint8, bool"},
    {"CastLike", 15, "saturate", cast_like, "types float, double, float16, int8, int32, int64, uint8, bool"},
    {"Ceil", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::ceil(x); }); }},
    {"Celu", 12, "alpha", celu},
    {"Clip", 6, "min max", clip},
    {"Cos", 7, "", [](const Call& c) { return map_real(c, [](double x) { return std::cos(x); }); }},
    {"Div", 7, "", div},
    {"Dropout", 7, "ratio seed", dropout,
     "inference: the input passes unchanged; training_mode is refused unless ratio is 0"},
    {"Elu", 6, "alpha", elu},
    {"Equal", 7, "", [](const Call& c) { return compare(c, std::equal_to<>()); }, "no text tensors"},
    {"Erf", 9, "", [](const Call& c) { return map_real(c, [](double x) { return std::erf(x); }); }},
    {"Exp", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::exp(x); }); }},
    {"Floor", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::floor(x); }); }},
    {"Gelu", 20, "approximate", gelu},
    {"Greater", 7, "", [](const Call& c) { return compare(c, std::greater<>()); }},
    {"GreaterOrEqual", 12, "", [](const Call& c) { return compare(c, std::greater_equal<>()); }},
    {"HardSigmoid", 6, "alpha beta", hard_sigmoid},
    {"HardSwish", 14, "",
     [](const Call& c) { return map_real(c, [](double x) { return x * larger(0, smaller(1, x / 6 + 0.5)); }); }},
    {"LeakyRelu", 6, "alpha", leaky_relu},
    {"Less", 7, "", [](const Call& c) { return compare(c, std::less<>()); }},
    {"LessOrEqual", 12, "", [](const Call& c) { return compare(c, std::less_equal<>()); }},
    {"Log", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::log(x); }); }},
    {"Max", 6, "", maximum},
    {"Mean", 6, "", mean},
    {"Min", 6, "", minimum},
    {"Mish", 18, "", [](const Call& c) { return map_real(c, [](double x) { return x * std::tanh(softplus(x)); }); }},
    {"Mod", 10, "fmod", mod},
    {"Mul", 7, "", mul},
    {"Neg", 6, "", negate},
    {"Not", 1, "", logical_not},
    {"Or", 7, "", [](const Call& c) { return logic(c, [](auto x, auto y) { return x != 0 || y != 0; }); }},
    {"PRelu", 7, "", prelu},
    {"Pow", 7, "", pow},
    {"Reciprocal", 6, "", [](const Call& c) { return map_real(c, [](double x) { return 1 / x; }); }},
    {"Relu", 6, "", relu},
    {"Round", 11, "", [](const Call& c) { return map_real(c, [](double x) { return std::nearbyint(x); }); }},
    {"Selu", 6, "alpha gamma", selu},
    {"Sigmoid", 6, "", unary<sigmoid>},
    {"Sign", 9, "", sign},
    {"Sin", 7, "", [](const Call& c) { return map_real(c, [](double x) { return std::sin(x); }); }},
    {"Sinh", 9, "", [](const Call& c) { return map_real(c, [](double x) { return std::sinh(x); }); }},
    {"Softplus", 1, "", unary<softplus>},
    {"Softsign", 1, "", [](const Call& c) { return map_real(c, [](double x) { return x / (1 + std::fabs(x)); }); }},
    {"Sqrt", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::sqrt(x); }); }},
    {"Sub", 7, "", sub},
    {"Sum", 6, "", sum},
    {"Tan", 7, "", [](const Call& c) { return map_real(c, [](double x) { return std::tan(x); }); }},
    {"Tanh", 6, "", [](const Call& c) { return map_real(c, [](double x) { return std::tanh(x); }); }},
    {"ThresholdedRelu", 10, "alpha", thresholded_relu},
    {"Where", 9, "", where},
    {"Xor", 7, "", [](const Call& c) { return logic(c, [](auto x, auto y) { return (x != 0) != (y != 0); }); }},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kOperators; }

}  // namespace plumbline::graph
