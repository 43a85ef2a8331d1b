#include <string_view>

#include "plumbline/data/csv.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  plumbline::data::TableOptions options;
  (void)plumbline::data::parse_csv(text, "x", options, plumbline::fuzz::small_limits());
  options.header = false;
  options.comment.assign(1, '|');
  options.separator = 59;  // a semicolon
  options.limit = 5;
  (void)plumbline::data::parse_csv(text, "x", options, plumbline::fuzz::small_limits());
  return 0;
}
