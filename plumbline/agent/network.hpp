#pragma once
/// A small network in plain arithmetic: one hidden layer of tanh, one linear output layer. The gradient is written by
/// hand; same input, same bits, no library.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/facts.hpp"

namespace plumbline::agent {

/// An observation as the network reads it: the inputs that are not zero. One-hot for board cells; plain numbers are
/// brought from [low, high] to [-1, 1].
struct Inputs {
  std::vector<std::uint32_t> index;
  std::vector<double> value;
};
std::size_t input_count(const world::ObservationSpec& spec);
void read_inputs(const world::ObservationSpec& spec, std::span<const float> observation, Inputs& out);

/// h = tanh(W x + b), y = V h + c.
class Network {
 public:
  /// Weights of the hidden layer normal with deviation 1 / sqrt(active inputs), of output o with output_scale[o] /
  /// sqrt(hidden); constants zero.
  Network(std::size_t inputs, std::size_t active, std::size_t hidden, std::vector<double> output_scale, base::Rng& rng);

  std::size_t hidden() const { return hidden_; }
  std::size_t outputs() const { return outputs_; }
  std::span<double> parameters() { return parameters_; }
  std::span<const double> parameters() const { return parameters_; }

  /// Writes h (hidden) and y (outputs). Preconditions: sizes; indices below the number of inputs.
  void forward(const Inputs& x, std::span<double> h, std::span<double> y) const;
  /// Adds dL/dparameters to `gradient`, given h of forward() and dL/dy. `scratch` has hidden() entries.
  void backward(const Inputs& x, std::span<const double> h, std::span<const double> dy, std::span<double> scratch,
                std::span<double> gradient) const;

 private:
  std::size_t inputs_;
  std::size_t hidden_;
  std::size_t outputs_;
  std::vector<double> parameters_;  ///< W [input][hidden], b, V [output][hidden], c
};

/// One step of Adam down the gradient. Source: Kingma and Ba, ICLR 2015, algorithm 1.
class Adam {
 public:
  explicit Adam(std::size_t size) : mean_(size, 0.0), square_(size, 0.0) {}
  void step(std::span<double> parameters, std::span<const double> gradient, double rate);

 private:
  std::vector<double> mean_;
  std::vector<double> square_;
  double mean_left_ = 1;
  double square_left_ = 1;
};

}  // namespace plumbline::agent
