#pragma once
/// Causal graphs as text: edge lists, DOT, the manifest's [graph.NAME], and the structure of a BIF network.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/graph.hpp"
#include "plumbline/counterfactual/causal/network.hpp"
#include "plumbline/data/manifest.hpp"

namespace plumbline::counterfactual::causal {

/// A graph with nodes that nobody observes.
struct ReadGraph {
  Graph graph;
  NodeSet hidden;
  /// The graph over what is observed, common hidden causes as <->.
  Graph observed() const { return project(graph, hidden); }
};

/// Bounds on what a hostile file can cost.
struct GraphLimits {
  std::uint64_t file_bytes = std::uint64_t{16} << 20U;
  std::size_t nodes = 10'000;
  std::size_t edges = 1'000'000;
};

/// Question  which graph does this text draw?
/// Form      statements that end with a line or ';': `a -> b -> c`, `a <- b`, `a <-> b` (a hidden common cause), `a` (a
///           node alone), `latent u, v`; attributes in brackets, of which `[latent]`, `[unobserved]` and `[dir=both]`
///           count; DOT's `digraph NAME { … }` and `dag { … }` around it; comments # // /* */. Names are words, or
///           quoted.
/// Errors    kParse with file and line: anything else, `--`, a node that points at itself. kValue: a cycle. kLimit.
base::Result<ReadGraph> parse_graph(std::string_view text, const std::string& name, const GraphLimits& limits = {});
/// By the format ("bif"; "dot" and "edges" are one), or by the file's name: .bif (also .gz) is read as a network,
/// anything else as above. Errors also kIo.
base::Result<ReadGraph> read_graph(const std::string& path, const GraphLimits& limits = {},
                                   std::string_view format = {});

/// The section's nodes, edges and latent, or the file that it names. Errors as above, with the section's line.
base::Result<ReadGraph> section_graph(const data::OtherSection& section, const std::string& manifest);

Graph structure(const Network& network);

}  // namespace plumbline::counterfactual::causal
