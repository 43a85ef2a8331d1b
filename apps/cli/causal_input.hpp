#pragma once
/// What the causal commands read alike.

#include <string>

#include "apps/cli/options.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"

namespace plumbline::cli {

/// The file as a graph: of a manifest, the section that is named or the only one there is.
base::Result<counterfactual::causal::ReadGraph> read_graph(const std::string& file, const std::string& section,
                                                           const Options& options);

/// One character, "space", or nothing (0: it is found out). Errors kValue.
base::Result<char> parse_separator(const std::string& text);

}  // namespace plumbline::cli
