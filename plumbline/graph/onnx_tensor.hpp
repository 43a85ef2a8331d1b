#pragma once
/// Pieces of ONNX files beside whole models: what the conformance cases are made of.

#include <string>
#include <string_view>
#include <vector>

#include "plumbline/graph/onnx.hpp"

namespace plumbline::graph {

/// A serialised TensorProto (the `input_0.pb` of a conformance case). Errors as parse_onnx().
base::Result<Tensor> parse_tensor(std::string_view bytes, const OnnxLimits& limits = {});

/// The operators that a model's graph names, ascending and without repetition, whether held or not; operators of other
/// domains as "domain.Name". Errors kParse: not ONNX.
base::Result<std::vector<std::string>> onnx_operators(std::string_view bytes);

}  // namespace plumbline::graph
