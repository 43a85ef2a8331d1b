#include <string_view>

#include "plumbline/robustness/proof/certificate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// y = relu(x) - 1 over [-1, 0.5], unsafe where y >= 0: holds, and any certificate may be held against it.
plumbline::robustness::Network small_network() {
  using namespace plumbline::robustness;
  Network network;
  network.steps.resize(4);
  network.steps[0].size = 1;
  for (const std::size_t s : {std::size_t{1}, std::size_t{3}}) {
    Step& step = network.steps[s];
    step.kind = StepKind::kAffine;
    step.from = {s - 1};
    step.size = 1;
    step.affine = {.rows = 1,
                   .columns = 1,
                   .dense = true,
                   .weights = {1},
                   .transposed = {1},
                   .start = {},
                   .column = {},
                   .bias = {s == 1 ? 0.0 : -1.0},
                   .weight_error = 0,
                   .bias_error = {}};
  }
  network.steps[2].kind = StepKind::kActivation;
  network.steps[2].from = {1};
  network.steps[2].size = 1;
  network.steps[2].leak = {0};
  return network;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string copy(reinterpret_cast<const char*>(data), size);
  const auto certificate = plumbline::robustness::parse_certificate(copy, "c");
  if (certificate.ok()) {
    static const auto network = small_network();
    static const auto property = plumbline::robustness::parse_vnnlib(
        "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 -1))(assert (<= X_0 0.5))(assert (>= Y_0 0))",
        "p");
    (void)plumbline::robustness::check_certificate(network, *property, *certificate);
  }
  return 0;
}
