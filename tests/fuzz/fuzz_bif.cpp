#include <string_view>

#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/junction_tree.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// What reads is asked for its marginals, written, and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace causal = plumbline::counterfactual::causal;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  causal::BifLimits limits;
  limits.variables = 1000;
  limits.states = 1000;
  limits.cells = 100'000;
  const auto network = causal::parse_bif(text, "x", limits);
  if (!network.ok()) return 0;
  causal::ExactLimits exact;
  exact.cells = 100'000;
  (void)causal::JunctionTree::make(*network).posteriors({}, exact);
  const auto written = causal::bif_text(*network);
  if (written.ok() && !causal::parse_bif(*written, "x", limits).ok()) __builtin_trap();
  return 0;
}
