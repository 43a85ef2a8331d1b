#include "plumbline/agent/network.hpp"

#include <cmath>

#include "plumbline/base/guard.hpp"

namespace plumbline::agent {

std::size_t input_count(const world::ObservationSpec& spec) {
  return spec.size() * static_cast<std::size_t>(spec.categories > 0 ? spec.categories : 1);
}

void read_inputs(const world::ObservationSpec& spec, std::span<const float> observation, Inputs& out) {
  out.index.resize(observation.size());
  out.value.resize(observation.size());
  const auto categories = static_cast<std::uint32_t>(spec.categories);
  const double middle = (spec.low + spec.high) / 2;
  const double half = (spec.high - spec.low) / 2;
  const bool ranged = std::isfinite(half) && half > 0;
  for (std::size_t i = 0; i < observation.size(); ++i) {
    const auto x = static_cast<double>(observation[i]);
    if (categories > 0) {
      out.index[i] = static_cast<std::uint32_t>(i) * categories + static_cast<std::uint32_t>(x);
      out.value[i] = 1;
    } else {
      out.index[i] = static_cast<std::uint32_t>(i);
      out.value[i] = ranged ? (x - middle) / half : x;
    }
  }
}

Network::Network(std::size_t inputs, std::size_t active, std::size_t hidden, std::vector<double> output_scale,
                 base::Rng& rng)
    : inputs_(inputs),
      hidden_(hidden),
      outputs_(output_scale.size()),
      parameters_((inputs + 1) * hidden + output_scale.size() * (hidden + 1), 0.0) {
  base::ensure(inputs > 0 && active > 0 && hidden > 0 && !output_scale.empty(), "Network: an empty layer");
  double* w = parameters_.data();
  const double first = 1 / std::sqrt(static_cast<double>(active));
  for (std::size_t i = 0; i < inputs * hidden; ++i) *w++ = rng.normal(0, first);
  w += hidden;
  const double second = 1 / std::sqrt(static_cast<double>(hidden));
  for (const double scale : output_scale) {
    for (std::size_t j = 0; j < hidden; ++j) *w++ = rng.normal(0, scale * second);
  }
}

void Network::forward(const Inputs& x, std::span<double> h, std::span<double> y) const {
  const double* w = parameters_.data();
  const double* b = w + inputs_ * hidden_;
  for (std::size_t j = 0; j < hidden_; ++j) h[j] = b[j];
  for (std::size_t i = 0; i < x.index.size(); ++i) {
    const double* row = w + std::size_t{x.index[i]} * hidden_;
    const double value = x.value[i];
    for (std::size_t j = 0; j < hidden_; ++j) h[j] += value * row[j];
  }
  for (std::size_t j = 0; j < hidden_; ++j) h[j] = std::tanh(h[j]);
  const double* v = b + hidden_;
  const double* c = v + outputs_ * hidden_;
  for (std::size_t o = 0; o < outputs_; ++o) {
    // Four sums side by side, in a fixed order.
    double part[4] = {0, 0, 0, 0};
    const double* row = v + o * hidden_;
    for (std::size_t j = 0; j < hidden_; ++j) part[j & 3U] += row[j] * h[j];
    y[o] = c[o] + ((part[0] + part[1]) + (part[2] + part[3]));
  }
}

void Network::backward(const Inputs& x, std::span<const double> h, std::span<const double> dy,
                       std::span<double> scratch, std::span<double> gradient) const {
  const double* v = parameters_.data() + (inputs_ + 1) * hidden_;
  double* gw = gradient.data();
  double* gb = gw + inputs_ * hidden_;
  double* gv = gb + hidden_;
  double* gc = gv + outputs_ * hidden_;
  for (std::size_t j = 0; j < hidden_; ++j) scratch[j] = 0;
  for (std::size_t o = 0; o < outputs_; ++o) {
    const double d = dy[o];
    gc[o] += d;
    for (std::size_t j = 0; j < hidden_; ++j) {
      gv[o * hidden_ + j] += d * h[j];
      scratch[j] += d * v[o * hidden_ + j];
    }
  }
  for (std::size_t j = 0; j < hidden_; ++j) {
    scratch[j] *= 1 - h[j] * h[j];
    gb[j] += scratch[j];
  }
  for (std::size_t i = 0; i < x.index.size(); ++i) {
    double* row = gw + std::size_t{x.index[i]} * hidden_;
    const double value = x.value[i];
    for (std::size_t j = 0; j < hidden_; ++j) row[j] += value * scratch[j];
  }
}

void Adam::step(std::span<double> parameters, std::span<const double> gradient, double rate) {
  constexpr double kMean = 0.9;
  constexpr double kSquare = 0.999;
  constexpr double kSmall = 1e-8;
  mean_left_ *= kMean;
  square_left_ *= kSquare;
  const double step = rate / (1 - mean_left_);
  const double unbias = 1 / (1 - square_left_);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    mean_[i] += (1 - kMean) * (gradient[i] - mean_[i]);
    square_[i] += (1 - kSquare) * (gradient[i] * gradient[i] - square_[i]);
    parameters[i] -= step * mean_[i] / (std::sqrt(square_[i] * unbias) + kSmall);
  }
}

}  // namespace plumbline::agent
