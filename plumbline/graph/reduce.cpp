/// Operators that fold one or more axes: sums, means, extremes, arg-extremes, softmax, running sums, top k.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// `x` with the chosen axes moved to the end, and the shapes before and after.
struct Folded {
  Tensor rows;            ///< kept axes, then folded axes
  std::size_t count = 0;  ///< rows
  std::size_t width = 0;  ///< values folded into one
  Shape shape;            ///< of the result
};

Folded fold_axes(const Call& call, const Tensor& x, const std::vector<bool>& folded, bool keep) {
  const Shape own = strides_of(x.shape);
  Folded result;
  Shape shape;
  Shape strides;
  for (const bool which : {false, true}) {
    for (std::size_t d = 0; d < x.shape.size(); ++d) {
      if (folded[d] != which) continue;
      shape.push_back(x.shape[d]);
      strides.push_back(own[d]);
    }
  }
  std::size_t kept = 0;
  for (std::size_t d = 0; d < x.shape.size(); ++d) {
    if (!folded[d]) ++kept;
    if (!folded[d] || keep) result.shape.push_back(folded[d] ? 1 : x.shape[d]);
  }
  result.count = static_cast<std::size_t>(call.size_of(result.shape));
  result.width =
      static_cast<std::size_t>(call.size_of(Shape(shape.begin() + static_cast<std::ptrdiff_t>(kept), shape.end())));
  result.rows = strided(call, x, shape, strides);
  return result;
}

/// The axes of a Reduce*: an attribute before `input_since`, an input from then on. False: nothing is to be done.
bool read_axes(const Call& call, const Tensor& x, int input_since, std::vector<bool>& folded) {
  std::vector<std::int64_t> axes;
  if (call.opset >= input_since) {
    if (call.has(1)) axes = call.integer_in(1).integers;
  } else {
    axes = call.integers("axes");
  }
  if (axes.empty() && call.flag("noop_with_empty_axes", false)) return false;
  folded.assign(x.shape.size(), axes.empty());
  for (const std::int64_t axis : axes) folded[normal_axis(axis, x.shape.size())] = true;
  return true;
}

using RealFold = double (*)(std::span<const double>);
using IntegerFold = std::int64_t (*)(std::span<const std::int64_t>);

double sum(std::span<const double> v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double mean(std::span<const double> v) { return sum(v) / static_cast<double>(v.size()); }
double sum_square(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), 0.0, [](double a, double x) { return a + x * x; });
}
double l1(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), 0.0, [](double a, double x) { return a + std::fabs(x); });
}
double l2(std::span<const double> v) { return std::sqrt(sum_square(v)); }
double product(std::span<const double> v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); }
double largest(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), -kInfinity,
                         [](double a, double x) { return x > a || std::isnan(x) ? x : a; });
}
double smallest(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), kInfinity,
                         [](double a, double x) { return x < a || std::isnan(x) ? x : a; });
}
double log_sum(std::span<const double> v) { return std::log(sum(v)); }
double log_sum_exp(std::span<const double> v) {
  const double top = largest(v);
  if (!std::isfinite(top)) return top;
  return top +
         std::log(std::accumulate(v.begin(), v.end(), 0.0, [&](double a, double x) { return a + std::exp(x - top); }));
}

std::uint64_t bits(std::int64_t x) { return static_cast<std::uint64_t>(x); }
std::int64_t sum(std::span<const std::int64_t> v) {
  std::uint64_t total = 0;
  for (const std::int64_t x : v) total += bits(x);
  return static_cast<std::int64_t>(total);
}
std::int64_t mean(std::span<const std::int64_t> v) {
  return v.empty() ? 0 : sum(v) / static_cast<std::int64_t>(v.size());
}
std::int64_t sum_square(std::span<const std::int64_t> v) {
  std::uint64_t total = 0;
  for (const std::int64_t x : v) total += bits(x) * bits(x);
  return static_cast<std::int64_t>(total);
}
std::int64_t l1(std::span<const std::int64_t> v) {
  std::uint64_t total = 0;
  for (const std::int64_t x : v) total += x < 0 ? 0 - bits(x) : bits(x);
  return static_cast<std::int64_t>(total);
}
std::int64_t product(std::span<const std::int64_t> v) {
  std::uint64_t total = 1;
  for (const std::int64_t x : v) total *= bits(x);
  return static_cast<std::int64_t>(total);
}
std::int64_t largest(std::span<const std::int64_t> v) {
  if (v.empty()) fail(Code::kShape, "the maximum of no integers");
  return *std::max_element(v.begin(), v.end());
}
std::int64_t smallest(std::span<const std::int64_t> v) {
  if (v.empty()) fail(Code::kShape, "the minimum of no integers");
  return *std::min_element(v.begin(), v.end());
}

template <RealFold F, IntegerFold G, int kInputSince = 18>
Tensors reduce(const Call& call) {
  const Tensor& x = call.in(0);
  if (!x.is_real() && G == nullptr) call.real_in(0);
  std::vector<bool> folded;
  if (!read_axes(call, x, kInputSince, folded)) return {x};
  const Folded f = fold_axes(call, x, folded, call.flag("keepdims", true));
  Tensor y = call.make(x.type, f.shape);
  for (std::size_t i = 0; i < f.count; ++i) {
    if (x.is_real()) {
      y.reals[i] = F(std::span(f.rows.reals).subspan(i * f.width, f.width));
    } else if constexpr (G != nullptr) {
      y.integers[i] = wrap(x.type, G(std::span(f.rows.integers).subspan(i * f.width, f.width)));
    }
  }
  return {std::move(y)};
}

template <bool kLargest>
Tensors arg_extreme(const Call& call) {
  const Tensor& x = call.in(0);
  const std::size_t axis = normal_axis(call.integer("axis", 0), x.shape.size());
  std::vector<bool> folded(x.shape.size(), false);
  folded[axis] = true;
  const Folded f = fold_axes(call, x, folded, call.flag("keepdims", true));
  if (f.width == 0) fail(Code::kShape, "the axis is empty");
  const bool last = call.flag("select_last_index", false);
  Tensor y = call.make(Type::kInt64, f.shape);
  const auto run = [&](const auto& values) {
    for (std::size_t i = 0; i < f.count; ++i) {
      std::size_t best = 0;
      for (std::size_t j = 1; j < f.width; ++j) {
        const auto a = values[i * f.width + j];
        const auto b = values[i * f.width + best];
        if ((kLargest ? a > b : a < b) || (last && a == b)) best = j;
      }
      y.integers[i] = static_cast<std::int64_t>(best);
    }
  };
  if (x.is_real()) {
    run(f.rows.reals);
  } else {
    run(f.rows.integers);
  }
  return {std::move(y)};
}

/// Calls body(start, step, count) for each line of the axis; before opset 13 softmax folds all axes from `axis` on.
template <class Body>
void for_each_line(const Shape& shape, std::size_t axis, bool flatten, Body body) {
  const std::int64_t before = extent(shape, 0, axis);
  const std::int64_t after = flatten ? 1 : extent(shape, axis + 1, shape.size());
  const std::int64_t count = flatten ? extent(shape, axis, shape.size()) : shape[axis];
  for (std::int64_t i = 0; i < before; ++i) {
    for (std::int64_t j = 0; j < after; ++j)
      body(static_cast<std::size_t>(i * count * after + j), static_cast<std::size_t>(after),
           static_cast<std::size_t>(count));
  }
}

template <bool kLog>
Tensors softmax(const Call& call) {
  Tensor y = call.real_in(0);
  const bool flatten = call.opset < 13;
  const std::int64_t given = call.integer("axis", flatten ? 1 : -1);
  const bool beyond = flatten && given == static_cast<std::int64_t>(y.shape.size());  // an empty tail: one value a line
  if (y.size() == 0) return {std::move(y)};
  const std::size_t axis = beyond ? y.shape.size() : normal_axis(given, y.shape.size());
  for_each_line(y.shape, axis, flatten, [&](std::size_t start, std::size_t step, std::size_t count) {
    double top = -kInfinity;
    for (std::size_t i = 0; i < count; ++i) top = std::max(top, y.reals[start + i * step]);
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) total += std::exp(y.reals[start + i * step] - top);
    for (std::size_t i = 0; i < count; ++i) {
      double& value = y.reals[start + i * step];
      value = kLog ? value - top - std::log(total) : std::exp(value - top) / total;
    }
  });
  return {std::move(y)};
}

Tensors cumulative_sum(const Call& call) {
  Tensor y = call.in(0);
  const std::size_t axis = normal_axis(call.integer_scalar(1), y.shape.size());
  const bool exclusive = call.flag("exclusive", false);
  const bool reverse = call.flag("reverse", false);
  const auto run = [&](auto& values, auto add) {
    for_each_line(y.shape, axis, false, [&](std::size_t start, std::size_t step, std::size_t count) {
      auto total = values[start] - values[start];
      total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        auto& value = values[start + (reverse ? count - 1 - i : i) * step];
        const auto next = add(total, value);
        value = exclusive ? total : next;
        total = next;
      }
    });
  };
  if (y.size() == 0) return {std::move(y)};
  if (y.is_real()) {
    run(y.reals, std::plus<>());
  } else {
    run(y.integers,
        [&](std::int64_t a, std::int64_t b) { return wrap(y.type, static_cast<std::int64_t>(bits(a) + bits(b))); });
  }
  return {std::move(y)};
}

Tensors top_k(const Call& call) {
  const Tensor& x = call.in(0);
  const std::size_t axis = normal_axis(call.integer("axis", -1), x.shape.size());
  const std::int64_t k = call.opset >= 10 ? call.integer_scalar(1) : call.integer("k", 0);
  if (k < 0 || k > x.shape[axis]) fail(Code::kValue, fmt::format("k is {}, the axis has {} values", k, x.shape[axis]));
  const bool largest_first = call.flag("largest", true);
  Shape shape = x.shape;
  shape[axis] = k;
  Tensor values = call.make(x.type, shape);
  Tensor indices = call.make(Type::kInt64, shape);
  const std::int64_t after = extent(shape, axis + 1, shape.size());
  std::vector<std::size_t> order(static_cast<std::size_t>(x.shape[axis]));
  std::int64_t line = 0;
  const auto run = [&](const auto& from, auto& to) {
    for_each_line(x.shape, axis, false, [&](std::size_t start, std::size_t step, std::size_t) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      const auto before = [&](std::size_t a, std::size_t b) {  // NaN counts as the largest value; ties by index
        const auto u = from[start + a * step];
        const auto v = from[start + b * step];
        const bool u_nan = u != u;
        const bool v_nan = v != v;
        if (u_nan != v_nan) return largest_first == u_nan;
        if (u_nan || u == v) return a < b;
        return largest_first ? u > v : u < v;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
      const std::int64_t to_start = line / after * k * after + line % after;
      for (std::int64_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(to_start + i * after);
        const std::size_t index = order[static_cast<std::size_t>(i)];
        to[at] = from[start + index * step];
        indices.integers[at] = static_cast<std::int64_t>(index);
      }
      ++line;
    });
  };
  if (values.size() != 0) {
    if (x.is_real()) {
      run(x.reals, values.reals);
    } else {
      run(x.integers, values.integers);
    }
  }
  return {std::move(values), std::move(indices)};
}

constexpr std::string_view kReduce = "axes keepdims noop_with_empty_axes";

const Operator kOperators[] = {
    {"ArgMax", 1, "axis keepdims select_last_index", arg_extreme<true>},
    {"ArgMin", 1, "axis keepdims select_last_index", arg_extreme<false>},
    {"CumSum", 11, "exclusive reverse", cumulative_sum},
    {"LogSoftmax", 1, "axis", softmax<true>},
    {"ReduceL1", 1, kReduce, reduce<l1, l1>},
    {"ReduceL2", 1, kReduce, reduce<l2, nullptr>, "real inputs"},
    {"ReduceLogSum", 1, kReduce, reduce<log_sum, nullptr>, "real inputs"},
    {"ReduceLogSumExp", 1, kReduce, reduce<log_sum_exp, nullptr>, "real inputs"},
    {"ReduceMax", 1, kReduce, reduce<largest, largest>},
    {"ReduceMean", 1, kReduce, reduce<mean, mean>},
    {"ReduceMin", 1, kReduce, reduce<smallest, smallest>},
    {"ReduceProd", 1, kReduce, reduce<product, product>},
    {"ReduceSum", 1, kReduce, reduce<sum, sum, 13>},
    {"ReduceSumSquare", 1, kReduce, reduce<sum_square, sum_square>},
    {"Softmax", 1, "axis", softmax<false>},
    {"TopK", 1, "axis k largest sorted", top_k},
};

}  // namespace

std::span<const Operator> reduce_operators() { return kOperators; }

}  // namespace plumbline::graph
