#include <string_view>

#include "plumbline/robustness/proof/vnnlib.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string copy(reinterpret_cast<const char*>(data), size);
  plumbline::robustness::VnnlibLimits limits;
  limits.tokens = 100'000;
  limits.variables = 1000;
  limits.cases = 200;
  limits.atoms = 20'000;
  const auto property = plumbline::robustness::parse_vnnlib(copy, "p", limits);
  if (property.ok()) {
    const std::vector<double> x(property->inputs, 0.5);
    const std::vector<double> y(property->outputs, 0.25);
    (void)plumbline::robustness::judge_point(*property, x, y, y);
    for (const auto& unsafe : property->cases) (void)plumbline::robustness::case_excess(unsafe, x, y);
  }
  return 0;
}
