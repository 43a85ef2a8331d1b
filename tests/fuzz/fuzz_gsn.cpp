#include <string_view>

#include "plumbline/case/claims/argument.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  auto argument = plumbline::claims::from_gsn_yaml({reinterpret_cast<const char*>(bytes.data.get()), bytes.size});
  if (!argument.ok()) return 0;
  std::vector<plumbline::claims::ClaimVerdict> none;
  plumbline::claims::propagate(*argument, none);
  (void)plumbline::claims::to_svg(*argument);
  // What was read can be written and read again.
  if (argument->nodes.size() < 100) (void)plumbline::claims::from_gsn_yaml(plumbline::claims::to_gsn_yaml(*argument));
  return 0;
}
