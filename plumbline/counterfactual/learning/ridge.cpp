#include "plumbline/counterfactual/learning/ridge.hpp"

#include <algorithm>
#include <cmath>

namespace plumbline::counterfactual::learning {
namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
  return sum;
}

/// A^-1 x by columns, so that the loop is wide and its order fixed.
void times(std::span<const double> inverse, std::span<const double> x, std::vector<double>& out) {
  const std::size_t d = x.size();
  out.assign(d, 0.0);
  for (std::size_t i = 0; i < d; ++i) {
    const double v = x[i];
    if (v == 0) continue;
    const double* row = inverse.data() + i * d;
    for (std::size_t j = 0; j < d; ++j) out[j] += v * row[j];
  }
}

}  // namespace

ActionRidge::ActionRidge(std::size_t actions, std::size_t features, double ridge)
    : actions_(actions),
      features_(features),
      theta_(actions * features, 0.0),
      inverse_(actions * features * features, 0.0) {
  for (std::size_t a = 0; a < actions; ++a) {
    for (std::size_t j = 0; j < features; ++j) inverse_[(a * features + j) * features + j] = 1 / ridge;
  }
}

std::span<const double> ActionRidge::coefficients(std::size_t action) const {
  return {theta_.data() + action * features_, features_};
}

std::span<const double> ActionRidge::inverse(std::size_t action) const {
  return {inverse_.data() + action * features_ * features_, features_ * features_};
}

double ActionRidge::mean(std::size_t action, std::span<const double> x) const { return dot(coefficients(action), x); }

double ActionRidge::variance(std::size_t action, std::span<const double> x) const {
  thread_local std::vector<double> product;
  times(inverse(action), x, product);
  return std::max(0.0, dot(product, x));
}

void ActionRidge::update(std::size_t action, std::span<const double> x, double reward, double weight) {
  const std::size_t d = features_;
  thread_local std::vector<double> product;
  times(inverse(action), x, product);
  const double scale = weight / (1 + weight * std::max(0.0, dot(product, x)));
  const double step = scale * (reward - mean(action, x));
  double* theta = theta_.data() + action * d;
  for (std::size_t j = 0; j < d; ++j) theta[j] += step * product[j];
  double* inverse = inverse_.data() + action * d * d;
  for (std::size_t i = 0; i < d; ++i) {
    const double v = product[i];
    double* row = inverse + i * d;
    // In this order of factors the matrix stays symmetric to the last bit, and a file may hold one half of it.
    for (std::size_t j = 0; j < d; ++j) row[j] -= scale * (v * product[j]);
  }
}

std::vector<double> ActionRidge::state() const {
  std::vector<double> out = theta_;
  for (std::size_t a = 0; a < actions_; ++a) {
    const auto full = inverse(a);
    for (std::size_t i = 0; i < features_; ++i) {
      for (std::size_t j = 0; j <= i; ++j) out.push_back(full[i * features_ + j]);
    }
  }
  return out;
}

bool ActionRidge::restore(std::span<const double> state) {
  const std::size_t triangle = features_ * (features_ + 1) / 2;
  if (state.size() != theta_.size() + actions_ * triangle) return false;
  if (!std::all_of(state.begin(), state.end(), [](double v) { return std::isfinite(v); })) return false;
  std::copy_n(state.begin(), theta_.size(), theta_.begin());
  auto next = state.begin() + static_cast<std::ptrdiff_t>(theta_.size());
  for (std::size_t a = 0; a < actions_; ++a) {
    double* full = inverse_.data() + a * features_ * features_;
    for (std::size_t i = 0; i < features_; ++i) {
      for (std::size_t j = 0; j <= i; ++j, ++next) full[i * features_ + j] = full[j * features_ + i] = *next;
    }
  }
  return true;
}

}  // namespace plumbline::counterfactual::learning
