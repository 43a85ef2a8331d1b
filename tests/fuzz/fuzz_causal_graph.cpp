#include <string_view>

#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace causal = plumbline::counterfactual::causal;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  causal::GraphLimits limits;
  limits.nodes = 40;
  limits.edges = 200;
  const auto graph = causal::parse_graph(text, "x", limits);
  if (!graph.ok()) return 0;
  const causal::Graph seen = graph->observed();
  if (seen.size() >= 2) (void)causal::identify(seen, {1}, {0});
  return 0;
}
