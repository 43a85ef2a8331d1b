#include "plumbline/counterfactual/causal/factor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace plumbline::counterfactual::causal {
namespace {

constexpr double kZero = -std::numeric_limits<double>::infinity();

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// For each variable of `scope`, how far a step in it moves in a table over `inner` (0 where it is not in there).
std::vector<std::size_t> strides_within(const std::vector<int>& scope, const Factor& inner) {
  std::vector<std::size_t> out(scope.size(), 0);
  std::size_t stride = 1;
  for (std::size_t k = inner.scope.size(); k-- > 0;) {
    const auto found = std::lower_bound(scope.begin(), scope.end(), inner.scope[k]);
    out[static_cast<std::size_t>(found - scope.begin())] = stride;
    stride *= at(inner.sizes[k]);
  }
  return out;
}

/// Walks a table in its order, run by run of its fastest variable: run(first cell, cell of the other table).
template <class Run>
void walk(const std::vector<int>& sizes, const std::vector<std::size_t>& strides, const Run& run) {
  const std::size_t depth = sizes.empty() ? 0 : sizes.size() - 1;
  const std::size_t width = sizes.empty() ? 1 : at(sizes.back());
  std::vector<int> digit(depth, 0);
  std::size_t other = 0;
  for (std::size_t first = 0;; first += width) {
    run(first, other);
    std::size_t k = depth;
    while (k > 0) {
      --k;
      other += strides[k];
      if (++digit[k] < sizes[k]) break;
      other -= strides[k] * at(sizes[k]);
      digit[k] = 0;
      if (k == 0) return;
    }
    if (depth == 0) return;
  }
}

std::size_t cells(const std::vector<int>& sizes) {
  std::size_t n = 1;
  for (const int s : sizes) n *= at(s);
  return n;
}

}  // namespace

Factor Factor::ones(const Network& network, std::vector<int> scope) {
  Factor out;
  out.scope = std::move(scope);
  for (const int v : out.scope) out.sizes.push_back(network.states(v));
  out.log.assign(cells(out.sizes), 0.0);
  return out;
}

States states_of(const Network& network, const Assignments& assignments) {
  States out(network.size(), -1);
  for (const Assignment& a : assignments) out[at(a.variable)] = a.state;
  return out;
}

Factor mechanism_factor(const Network& network, int v, const States& held) {
  // Strides in the table as the network keeps it: parents in their order, then the variable.
  std::vector<int> listed = network.parents(v);
  listed.push_back(v);
  std::vector<std::pair<int, std::size_t>> open;
  std::size_t stride = 1;
  std::size_t base = 0;
  for (std::size_t k = listed.size(); k-- > 0;) {
    const int w = listed[k];
    if (held[at(w)] >= 0)
      base += stride * at(held[at(w)]);
    else
      open.emplace_back(w, stride);
    stride *= at(network.states(w));
  }
  std::sort(open.begin(), open.end());
  Factor out;
  std::vector<std::size_t> strides;
  for (const auto& [w, s] : open) {
    out.scope.push_back(w);
    out.sizes.push_back(network.states(w));
    strides.push_back(s);
  }
  out.log.resize(cells(out.sizes));
  const std::vector<double>& table = network.mechanism(v).table;
  const std::size_t width = out.sizes.empty() ? 1 : at(out.sizes.back());
  const std::size_t step = strides.empty() ? 0 : strides.back();
  walk(out.sizes, strides, [&](std::size_t first, std::size_t other) {
    for (std::size_t k = 0; k < width; ++k) out.log[first + k] = std::log(table[base + other + k * step]);
  });
  return out;
}

void multiply_into(Factor& f, const Factor& g) {
  if (g.scope.empty()) {
    for (double& x : f.log) x += g.log[0];
    return;
  }
  const std::vector<std::size_t> strides = strides_within(f.scope, g);
  const std::size_t width = at(f.sizes.back());
  const bool moves = strides.back() != 0;  // the fastest variable of f, if it is g's, is g's fastest too
  walk(f.sizes, strides, [&](std::size_t first, std::size_t other) {
    double* const out = f.log.data() + first;
    const double* const in = g.log.data() + other;
    if (moves) {
      for (std::size_t k = 0; k < width; ++k) out[k] += in[k];
    } else {
      const double x = *in;
      for (std::size_t k = 0; k < width; ++k) out[k] += x;
    }
  });
}

Factor product(const Network& network, std::vector<int> scope, std::span<const Factor* const> factors) {
  Factor out = Factor::ones(network, std::move(scope));
  for (const Factor* f : factors) multiply_into(out, *f);
  return out;
}

Factor marginal(const Factor& f, const std::vector<int>& keep) {
  if (keep.size() == f.scope.size()) return f;
  Factor out;
  out.scope = keep;
  for (std::size_t k = 0; k < f.scope.size(); ++k)
    if (std::binary_search(keep.begin(), keep.end(), f.scope[k])) out.sizes.push_back(f.sizes[k]);
  const std::size_t n = cells(out.sizes);
  out.log.assign(n, kZero);
  const std::vector<std::size_t> strides = strides_within(f.scope, out);
  const std::size_t width = at(f.sizes.back());
  const bool moves = strides.back() != 0;
  walk(f.sizes, strides, [&](std::size_t first, std::size_t other) {
    const double* const in = f.log.data() + first;
    double* const top = out.log.data() + other;
    for (std::size_t k = 0; k < width; ++k) {
      double& most = moves ? top[k] : *top;
      most = std::max(most, in[k]);
    }
  });
  std::vector<double> sum(n, 0.0);
  walk(f.sizes, strides, [&](std::size_t first, std::size_t other) {
    const double* const in = f.log.data() + first;
    for (std::size_t k = 0; k < width; ++k) {
      const std::size_t cell = moves ? other + k : other;
      // The largest term of a cell is one; zeros add nothing.
      if (in[k] > kZero) sum[cell] += in[k] == out.log[cell] ? 1.0 : std::exp(in[k] - out.log[cell]);
    }
  });
  for (std::size_t k = 0; k < n; ++k)
    if (sum[k] > 1) out.log[k] += std::log(sum[k]);
  return out;
}

void divide_into(Factor& f, const Factor& g) {
  for (std::size_t k = 0; k < f.log.size(); ++k) f.log[k] = f.log[k] == kZero ? kZero : f.log[k] - g.log[k];
}

double log_sum_exp(std::span<const double> log) {
  double most = kZero;
  for (const double x : log) most = std::max(most, x);
  if (most == kZero) return kZero;
  double sum = 0;
  for (const double x : log) sum += std::exp(x - most);
  return most + std::log(sum);
}

Normalised normalise(std::span<const double> log) {
  Normalised out;
  out.log_sum = log_sum_exp(log);
  if (out.log_sum == kZero) return out;
  double sum = 0;
  for (const double x : log) {
    out.probability.push_back(std::exp(x - out.log_sum));
    sum += out.probability.back();
  }
  // The sum differs from one by the rounding of log_sum alone.
  for (double& p : out.probability) p /= sum;
  return out;
}

}  // namespace plumbline::counterfactual::causal
