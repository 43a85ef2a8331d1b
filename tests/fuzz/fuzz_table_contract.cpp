#include <string_view>

#include "plumbline/data/table_contract.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const auto contract = plumbline::data::parse_contract({reinterpret_cast<const char*>(bytes.data.get()), bytes.size});
  if (contract.ok()) (void)contract->hash();
  return 0;
}
