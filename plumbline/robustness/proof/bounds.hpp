#pragma once
/// Sound bounds of a network over a box: interval arithmetic, backward linear relaxation (CROWN) with intermediate
/// bounds of both, slopes optimised by gradient steps, multipliers of split activations. Rounding is accounted for; see
/// docs/developer/robustness-proof.md.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/robustness/proof/network.hpp"

namespace plumbline::robustness {

/// A box of inputs: lower[i] <= x[i] <= upper[i].
struct Box {
  std::vector<double> lower;
  std::vector<double> upper;
};

/// Bounds of every step of a network, sound over one box.
struct Bounds {
  std::vector<std::vector<double>> lower;
  std::vector<std::vector<double>> upper;
  std::vector<std::vector<double>> magnitude;  ///< of affine steps: |W| max|x| + |b|, rounded up
};

/// An activation forced to one side: sign * z >= 0, z its input. Only of hinges.
struct ActivationSplit {
  std::size_t step = 0;  ///< of the activation
  std::size_t neuron = 0;
  int sign = 1;
};

/// Lower slopes of hinges, as the share a in [0, 1] of the way from leak to 1: for each step none (default slopes), one
/// row for all functions, or one row a function.
struct Slopes {
  std::vector<std::vector<double>> share;
};

/// Linear functions of the output, and of the input: coefficients rows x outputs, input rows x inputs (or empty),
/// constant rows.
struct LinearRows {
  std::size_t count = 0;
  std::vector<double> output;
  std::vector<double> input;
  std::vector<double> constant;
};

/// Constraints a x <= bound that hold besides the box, and how often each is added to each row: at least 0.
struct InputCuts {
  std::size_t count = 0;
  std::vector<double> coefficients;  ///< count x inputs
  std::vector<double> bound;         ///< count
  std::vector<double> multipliers;   ///< rows x count
};

/// Lower bounds of linear functions, and how they came about.
struct RowBounds {
  std::vector<double> lower;                    ///< -infinity where anything overflowed
  std::vector<double> input;                    ///< rows x inputs: the linear bound in terms of inputs
  std::vector<std::vector<double>> activation;  ///< by step: rows x size, the coefficient that met each activation
};

enum class BoundMethod { kIntervals, kLinear, kOptimised };

struct BoundOptions {
  BoundMethod method = BoundMethod::kLinear;
  int iterations = 20;     ///< of kOptimised
  double step = 0.25;      ///< first step of slopes
  double decay = 0.95;     ///< of the step, an iteration
  std::size_t rows = 512;  ///< bounded at a time
};

/// The slopes that gave the bounds of the inputs of one activation step: rows of neuron and side (+1 lower, -1 upper).
struct SlopeTable {
  struct Entry {
    std::size_t step = 0;  ///< of the activation
    std::vector<std::size_t> neurons;
    std::vector<int> sides;
    Slopes slopes;  ///< one row an entry
  };
  std::vector<Entry> entries;
};

/// Bounds one network. Holds a reference to it. Thread-safe: all functions are const.
class Bounder {
 public:
  explicit Bounder(const Network& network);

  const Network& network() const { return network_; }

  /// Question: between which values does every step lie, for all inputs of the box?
  /// Formula:  intervals; for inputs of activations that may change sign intersected with linear bounds.
  ///           kIntervals: intervals alone. kLinear: with default slopes. kOptimised: each neuron's slopes optimised
  ///           for itself.
  /// Returns   bounds; infinite where something overflowed. With `table`, the slopes of kOptimised, rounded to float32.
  /// Errors    kShape: sizes. kValue: NaN, or an empty box. kCancelled.
  /// Cost      a backward pass for each activation step over the neurons that interval arithmetic leaves open.
  base::Result<Bounds> bound(const Box& box, const BoundOptions& options = {}, SlopeTable* table = nullptr,
                             const base::CancelToken& cancel = {}) const;

  /// Question: how low can each function get, given bounds of the steps, over the box and with the splits?
  /// Shapes    multipliers: rows x splits, at least 0; empty: none.
  /// Returns   sound lower bounds. The bounds must be clamped to the splits (clamp()).
  RowBounds minimise(const Bounds& bounds, const LinearRows& rows, const Slopes& slopes,
                     std::span<const ActivationSplit> splits = {}, std::span<const double> multipliers = {}) const;

  /// The same with slopes and multipliers improved over `iterations` gradient steps from the given ones; both are
  /// replaced by the best of each row, slopes rounded to float32. Rows stop mattering once above `enough`. With `cuts`
  /// the bounds hold where the cuts do, and their multipliers are improved as well.
  RowBounds optimise(const Bounds& bounds, const LinearRows& rows, Slopes& slopes,
                     std::span<const ActivationSplit> splits, std::vector<double>& multipliers,
                     const BoundOptions& options, double enough, const base::CancelToken& cancel = {},
                     InputCuts* cuts = nullptr) const;

  /// Puts the side of each split into the bounds.
  void clamp(Bounds& bounds, std::span<const ActivationSplit> splits) const;

  /// The corner of the box at which row `row` of the linear bound is least.
  std::vector<double> minimiser(const Box& box, const RowBounds& bounds, std::size_t row) const;

 private:
  struct Start;
  struct Pass;
  void run(const Bounds& bounds, const Start& start, const Slopes& slopes, std::span<const ActivationSplit> splits,
           std::span<const double> multipliers, Pass& pass) const;
  void gradients(const Bounds& bounds, const Start& start, const Slopes& slopes,
                 std::span<const ActivationSplit> splits, const Pass& pass,
                 std::vector<std::vector<double>>& slope_gradient, std::vector<double>& multiplier_gradient) const;
  void improve(const Bounds& bounds, const Start& start, Slopes& slopes, std::span<const ActivationSplit> splits,
               std::vector<double>& multipliers, const BoundOptions& options, double enough, Pass& pass,
               const base::CancelToken& cancel, InputCuts* cuts = nullptr) const;
  void refine(std::size_t step, Bounds& bounds, const BoundOptions& options, SlopeTable* table,
              const base::CancelToken& cancel) const;
  void intervals(std::size_t step, Bounds& bounds) const;

  const Network& network_;
  std::vector<std::size_t> activation_of_;  ///< by step: the first activation that reads it, or 0
  std::vector<bool> curved_;                ///< by step: some activation lies before it
};

}  // namespace plumbline::robustness
