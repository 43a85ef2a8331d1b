#include <string_view>

#include "plumbline/data/jsonl.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  (void)plumbline::data::parse_jsonl(text, "x", {}, plumbline::fuzz::small_limits());
  (void)plumbline::data::parse_jsonl_matrix(text, "x", plumbline::fuzz::small_limits());
  return 0;
}
