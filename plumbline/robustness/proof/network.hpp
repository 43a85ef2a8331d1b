#pragma once
/// A graph as three kinds of step (affine, sum, activation), sizes fixed: what bounds, attacks, checker and exact
/// replay run over. How a graph becomes one: docs/developer/robustness-proof.md.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"

namespace plumbline::robustness {

/// y = W x + b; W dense, or sparse by rows.
struct Affine {
  std::size_t rows = 0;
  std::size_t columns = 0;
  bool dense = false;
  std::vector<double> weights;     ///< dense: rows x columns; sparse: one a stored entry
  std::vector<double> transposed;  ///< dense: columns x rows
  std::vector<std::size_t> start;  ///< sparse: rows + 1 offsets into `column` and `weights`
  std::vector<std::size_t> column;
  std::vector<double> bias;        ///< rows
  double weight_error = 0;         ///< each true weight is within this relative distance of the stored one
  std::vector<double> bias_error;  ///< absolute; empty: the bias is exact
};

enum class StepKind { kInput, kAffine, kSum, kActivation };
/// kHinge is max(z, leak z) with leak in [-1, 1): ReLU, leaky ReLU, absolute value.
enum class Function { kHinge, kSigmoid, kTanh };

struct Step {
  StepKind kind = StepKind::kInput;
  std::vector<std::size_t> from;  ///< earlier steps
  std::vector<double> signs;      ///< of a sum: 1 or -1 for each of `from`
  std::size_t size = 0;
  Affine affine;
  Function function = Function::kHinge;
  std::vector<double> leak;  ///< of kHinge, one an element
  std::string place;         ///< the graph's node, for messages
};

/// Step 0 is the input, the last step the output.
struct Network {
  std::vector<Step> steps;

  std::size_t inputs() const { return steps.front().size; }
  std::size_t outputs() const { return steps.back().size; }
  /// All activations are hinges and all weights exact: the function can be evaluated in rational numbers.
  bool piecewise_linear() const;
  std::size_t activations() const;    ///< elements of all activation steps
  std::size_t multiply_adds() const;  ///< of one forward pass
};

/// Limits on what lowering may build.
struct LowerLimits {
  std::size_t entries = std::size_t{1} << 27U;  ///< weights of all steps, stored
  std::size_t values = std::size_t{1} << 24U;   ///< of one step
};

/// Question: which function of real numbers does the graph denote, in affine steps, sums and activations?
/// Shapes    one real input with all axes fixed but the first (taken as 1); the first output, flattened.
/// Returns   the network. It was compared with the interpreter on three inputs, within 1e-9 of the values' scale.
/// Errors    kUnsupported, naming the node: an operator that is not piecewise linear, sigmoid or tanh; a product of two
///           changing values; an axis that is free. kValue: a weight that is NaN or infinite. kLimit: `limits`. Others
///           as graph::interpret().
/// Cost      one pass of the interpreter; pools and reductions one pass for each of their inputs.
base::Result<Network> lower(const graph::Graph& graph, const LowerLimits& limits = {});

/// Question: does the graph end in a softmax that only changes the size of what it orders?
/// Formula:  a last Softmax or LogSoftmax over the columns of a two-dimensional output keeps the order of a row; it is
///           taken off. Over any other axis it would be another function, and stays.
/// Returns   whether one was taken off.
bool strip_softmax(graph::Graph& graph);

/// Values of all steps for `count` inputs in rows, in double: steps[s] is count x size. A row's bits do not depend on
/// the others. Precondition: rows holds count x inputs() values.
std::vector<std::vector<double>> forward(const Network& network, std::span<const double> rows, std::size_t count);

/// Question: how does a linear function of the output change with the input?
/// Shapes    values: of forward() on `count` rows; seeds: count x outputs.
/// Returns   count x inputs: gradients by reverse accumulation; at a kink the slope on the left.
std::vector<double> input_gradient(const Network& network, const std::vector<std::vector<double>>& values,
                                   std::span<const double> seeds, std::size_t count);

/// out (count x rows) = in (count x columns) W' + b.
void apply(const Affine& affine, const double* in, std::size_t count, double* out);
/// out (count x columns) += in (count x rows) W.
void apply_transposed(const Affine& affine, const double* in, std::size_t count, double* out);

}  // namespace plumbline::robustness
