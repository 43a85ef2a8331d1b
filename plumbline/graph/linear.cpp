/// Matrix products.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "plumbline/graph/operators.hpp"

namespace plumbline::graph {

namespace {

using base::Code;

using Lanes = double __attribute__((vector_size(32)));  // four doubles, as AVX2 holds them

Lanes load(const double* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

/// A tile of kRows x 8 elements of c, kept in registers over the whole of k.
template <int kRows>
void tile(const double* a, const double* b, double* c, std::int64_t k, std::int64_t n) {
  Lanes low[kRows];
  Lanes high[kRows];
  for (int r = 0; r < kRows; ++r) {
    low[r] = load(c + r * n);
    high[r] = load(c + r * n + 4);
  }
  for (std::int64_t p = 0; p < k; ++p) {
    const Lanes b_low = load(b + p * n);
    const Lanes b_high = load(b + p * n + 4);
    for (int r = 0; r < kRows; ++r) {
      const double x = a[r * k + p];
      low[r] += x * b_low;
      high[r] += x * b_high;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(c + r * n, &low[r], sizeof(Lanes));
    std::memcpy(c + r * n + 4, &high[r], sizeof(Lanes));
  }
}

/// The transpose of a rows x columns matrix.
std::vector<double> transposed(const double* from, std::int64_t rows, std::int64_t columns) {
  std::vector<double> to(static_cast<std::size_t>(rows * columns));
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    for (std::int64_t j0 = 0; j0 < columns; j0 += kBlock) {
      for (std::int64_t i = i0; i < std::min(rows, i0 + kBlock); ++i) {
        for (std::int64_t j = j0; j < std::min(columns, j0 + kBlock); ++j) {
          to[static_cast<std::size_t>(j * rows + i)] = from[i * columns + j];
        }
      }
    }
  }
  return to;
}

/// Products of integer matrices wrap like any integer arithmetic of the element type.
void multiply_add_integers(const std::int64_t* a, const std::int64_t* b, std::int64_t* c, std::int64_t m,
                           std::int64_t k, std::int64_t n) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t p = 0; p < k; ++p) {
      const auto x = static_cast<std::uint64_t>(a[i * k + p]);
      for (std::int64_t j = 0; j < n; ++j) {
        c[i * n + j] = static_cast<std::int64_t>(static_cast<std::uint64_t>(c[i * n + j]) +
                                                 x * static_cast<std::uint64_t>(b[p * n + j]));
      }
    }
  }
}

Tensors matmul(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  if (a.type != b.type) fail(Code::kValue, "inputs have different types");
  if (a.shape.empty() || b.shape.empty()) fail(Code::kShape, "inputs must have at least one axis");
  Shape a_shape = a.shape;
  Shape b_shape = b.shape;
  if (a.shape.size() == 1) a_shape.insert(a_shape.begin(), 1);
  if (b.shape.size() == 1) b_shape.push_back(1);
  const std::int64_t m = a_shape[a_shape.size() - 2];
  const std::int64_t k = a_shape.back();
  const std::int64_t n = b_shape.back();
  if (b_shape[b_shape.size() - 2] != k) {
    fail(Code::kShape, fmt::format("shapes {} and {} do not multiply", shape_text(a.shape), shape_text(b.shape)));
  }
  const Shape a_stack(a_shape.begin(), a_shape.end() - 2);
  const Shape b_stack(b_shape.begin(), b_shape.end() - 2);
  const Shape stack = broadcast_shape(a_stack, b_stack);
  Shape shape = stack;
  if (a.shape.size() > 1) shape.push_back(m);
  if (b.shape.size() > 1) shape.push_back(n);
  Tensor out = call.make(a.type, shape);
  if (out.size() == 0) return {std::move(out)};
  call.size_of(stack);
  std::vector<std::int64_t> b_at;
  for_each_offset(stack, broadcast_strides(b_stack, stack), 0, [&](std::int64_t at) { b_at.push_back(at * k * n); });
  std::size_t i = 0;
  for_each_offset(stack, broadcast_strides(a_stack, stack), 0, [&](std::int64_t at) {
    const std::int64_t to = static_cast<std::int64_t>(i) * m * n;
    if (a.is_real()) {
      multiply_add(a.reals.data() + at * m * k, b.reals.data() + b_at[i], out.reals.data() + to, m, k, n);
    } else {
      multiply_add_integers(a.integers.data() + at * m * k, b.integers.data() + b_at[i], out.integers.data() + to, m, k,
                            n);
    }
    ++i;
  });
  for (std::int64_t& value : out.integers) value = wrap(out.type, value);
  return {std::move(out)};
}

Tensors gemm(const Call& call) {
  const Tensor& a = call.real_in(0);
  const Tensor& b = call.real_in(1);
  if (a.shape.size() != 2 || b.shape.size() != 2) fail(Code::kShape, "A and B must be matrices");
  const bool trans_a = call.flag("transA", false);
  const bool trans_b = call.flag("transB", false);
  const std::int64_t m = a.shape[trans_a ? 1 : 0];
  const std::int64_t k = a.shape[trans_a ? 0 : 1];
  const std::int64_t n = b.shape[trans_b ? 0 : 1];
  if (b.shape[trans_b ? 1 : 0] != k) {
    fail(Code::kShape, fmt::format("shapes {} and {} do not multiply", shape_text(a.shape), shape_text(b.shape)));
  }
  Tensor out = call.make(a.type, {m, n});
  const std::vector<double> a_turned = trans_a ? transposed(a.reals.data(), k, m) : std::vector<double>{};
  const std::vector<double> b_turned = trans_b ? transposed(b.reals.data(), n, k) : std::vector<double>{};
  multiply_add(trans_a ? a_turned.data() : a.reals.data(), trans_b ? b_turned.data() : b.reals.data(), out.reals.data(),
               m, k, n);
  const double alpha = call.real("alpha", 1.0);
  if (alpha != 1.0) {
    for (double& value : out.reals) value *= alpha;
  }
  if (call.has(2)) {
    const Tensor& bias = call.real_in(2);
    const double beta = call.real("beta", 1.0);
    std::size_t i = 0;
    for_each_offset(out.shape, broadcast_strides(bias.shape, out.shape), 0,
                    [&](std::int64_t at) { out.reals[i++] += beta * bias.reals[static_cast<std::size_t>(at)]; });
  }
  return {std::move(out)};
}

/// One term of an equation with its ellipsis written out as upper-case stand-ins, right-aligned.
std::string spelled(std::string_view term, std::size_t rank, std::size_t ellipsis) {
  std::string labels;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (term[i] == '.') {
      if (term.substr(i, 3) != "...") fail(Code::kValue, "the equation has a lone dot");
      const std::size_t named = term.size() - 3;
      const std::size_t own = rank == std::string::npos ? ellipsis : rank >= named ? rank - named : 0;
      for (std::size_t d = ellipsis - own; d < ellipsis; ++d) labels += static_cast<char>('\1' + static_cast<char>(d));
      i += 2;
    } else {
      labels += term[i];
    }
  }
  return labels;
}

Tensors einsum(const Call& call) {
  std::string equation = call.text("equation", "");
  std::erase(equation, ' ');
  const std::size_t arrow = equation.find("->");
  const std::string left = equation.substr(0, arrow);
  std::vector<std::string> terms(1);
  for (const char letter : left) {
    if (letter == ',') {
      terms.emplace_back();
    } else if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '.') {
      terms.back() += letter;
    } else {
      fail(Code::kValue, fmt::format("the equation '{}' has an unexpected character", equation));
    }
  }
  if (terms.size() != call.inputs.size()) {
    fail(Code::kValue, fmt::format("the equation has {} terms for {} inputs", terms.size(), call.inputs.size()));
  }
  std::size_t ellipsis = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].find("...") == std::string::npos) continue;
    const std::size_t rank = call.real_in(i).shape.size();
    if (rank + 3 < terms[i].size()) fail(Code::kShape, fmt::format("input {} has too few axes", i));
    ellipsis = std::max(ellipsis, rank + 3 - terms[i].size());
  }
  if (ellipsis > 20) fail(Code::kLimit, "the ellipsis stands for more than 20 axes");
  std::map<char, std::int64_t> sizes;
  std::map<char, int> uses;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Shape& shape = call.real_in(i).shape;
    terms[i] = spelled(terms[i], shape.size(), ellipsis);
    if (terms[i].size() != shape.size()) fail(Code::kShape, fmt::format("input {} has {} axes", i, shape.size()));
    for (std::size_t d = 0; d < shape.size(); ++d) {
      auto [found, fresh] = sizes.emplace(terms[i][d], shape[d]);
      if (!fresh && found->second == 1) found->second = shape[d];
      if (shape[d] != found->second && shape[d] != 1) fail(Code::kShape, "one label stands for axes of different size");
      ++uses[terms[i][d]];
    }
  }
  std::string result;
  if (arrow != std::string::npos) {
    result = spelled(equation.substr(arrow + 2), std::string::npos, ellipsis);
  } else {
    for (const auto& [label, count] : uses) {
      if (count == 1 || label <= '\24') result += label;
    }
  }
  Shape shape;
  std::string loops = result;
  for (const char label : result) {
    if (!sizes.contains(label) || std::count(result.begin(), result.end(), label) != 1) {
      fail(Code::kValue, fmt::format("the output of '{}' repeats or invents a label", equation));
    }
    shape.push_back(sizes[label]);
  }
  Shape all = shape;
  for (const auto& [label, size] : sizes) {
    if (result.find(label) == std::string::npos) {
      loops += label;
      all.push_back(size);
    }
  }
  Tensor out = call.make(call.in(0).type, shape);
  call.size_of(all);  // the loop below visits this many points
  Tensor product = call.make(Type::kDouble, all);
  std::fill(product.reals.begin(), product.reals.end(), 1.0);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Tensor& input = call.in(i);
    const Shape own = strides_of(input.shape);
    Shape strides(all.size(), 0);
    for (std::size_t d = 0; d < own.size(); ++d) {
      if (input.shape[d] != 1) strides[loops.find(terms[i][d])] += own[d];
    }
    std::size_t at = 0;
    for_each_offset(all, strides, 0,
                    [&](std::int64_t offset) { product.reals[at++] *= input.reals[static_cast<std::size_t>(offset)]; });
  }
  const auto inner = static_cast<std::size_t>(extent(all, shape.size(), all.size()));
  for (std::size_t i = 0; i < out.reals.size(); ++i) {
    for (std::size_t j = 0; j < inner; ++j) out.reals[i] += product.reals[i * inner + j];
  }
  return {std::move(out)};
}

const Operator kOperators[] = {
    {"Einsum", 12, "equation", einsum, "real inputs; repeated labels and the ellipsis are held"},
    {"Gemm", 7, "alpha beta transA transB", gemm, "real inputs"},
    {"MatMul", 1, "", matmul},
};

}  // namespace

void multiply_add(const double* a, const double* b, double* c, std::int64_t m, std::int64_t k, std::int64_t n) {
  const std::int64_t tiled = n - n % 8;
  for (std::int64_t j = 0; j < tiled; j += 8) {
    std::int64_t i = 0;
    for (; i + 4 <= m; i += 4) tile<4>(a + i * k, b + j, c + i * n + j, k, n);
    for (; i < m; ++i) tile<1>(a + i * k, b + j, c + i * n + j, k, n);
  }
  if (tiled == n) return;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t p = 0; p < k; ++p) {
      const double x = a[i * k + p];
      for (std::int64_t j = tiled; j < n; ++j) c[i * n + j] += x * b[p * n + j];
    }
  }
}

std::span<const Operator> linear_operators() { return kOperators; }

}  // namespace plumbline::graph
