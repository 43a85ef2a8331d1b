#include <string_view>

#include "plumbline/counterfactual/causal/linear.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace causal = plumbline::counterfactual::causal;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  const auto model = causal::parse_linear(text, "x");
  if (model.ok() && model->size() < 40) (void)model->query({0}, {}, {});
  return 0;
}
