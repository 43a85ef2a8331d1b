#include <string_view>

#include "plumbline/counterfactual/learning/learned_policy.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace learning = plumbline::counterfactual::learning;
  const auto policy = learning::policy_from_json({reinterpret_cast<const char*>(data), size}, "x");
  if (policy.ok()) (void)learning::policy_to_json(*policy);
  return 0;
}
