#pragma once
/// A graph prepared for many rows: what does not depend on the input is computed once, and rows go in and out as
/// matrices. The executor of builds without LibTorch.

#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/graph/graph.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::graph {

struct ProgramOutput {
  MatrixD outputs;   ///< n x k: the first graph output, flattened per row
  MatrixD features;  ///< n x f: the tensor asked for, flattened per row; else empty
};

class Program {
 public:
  /// Folds constants and finds out how the graph takes rows: in batches where its first input axis is free, or where it
  /// is 1 and a batch of two gives the same values as two calls (older exporters write 1); else one by one, or in
  /// batches of the fixed size, the last one padded with its last row.
  /// Errors kUnsupported: not exactly one real input, an axis other than the first that is not fixed, first output not
  /// real. Others as interpret(), when the graph cannot run.
  static base::Result<Program> prepare(Graph graph);

  const Graph& graph() const { return graph_; }
  std::ptrdiff_t input_size() const { return input_size_; }    ///< values in one row
  std::ptrdiff_t output_size() const { return output_size_; }  ///< values of the first output for one row

  /// Shapes    rows n x input_size(). `features`: a tensor of the graph by name, or empty.
  /// Returns   what the graph computes, in double. A row's bits do not depend on the rows beside it.
  /// Errors    kShape: columns of `rows`, or an output whose first axis is not the batch. Others as interpret().
  /// Cost      one pass over the graph per 64 rows. Deterministic, thread-safe.
  base::Result<ProgramOutput> run(MatrixRefD rows, const std::string& features = {}) const;

 private:
  Graph graph_;
  std::ptrdiff_t input_size_ = 0;
  std::ptrdiff_t output_size_ = 0;
  std::ptrdiff_t batch_ = 0;  ///< rows per call; 0: any number
};

}  // namespace plumbline::graph
