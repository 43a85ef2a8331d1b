#include <cstdlib>
#include <string>
#include <string_view>

#include "plumbline/base/url.hpp"
#include "plumbline/data/bytes.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace base = plumbline::base;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  const auto target = base::parse_target(text);
  if (!target.ok()) return 0;
  // What is taken is text, and written again it is read as the same.
  std::string again;
  for (const std::string& part : target->path) again += "/" + base::percent_encode(part);
  if (again.empty()) again = "/";
  char between = '?';
  for (const auto& [name, value] : target->query) {
    if (!plumbline::data::is_utf8(name) || !plumbline::data::is_utf8(value)) std::abort();
    again += between + base::percent_encode(name) + "=" + base::percent_encode(value);
    between = '&';
  }
  const auto other = base::parse_target(again);
  if (again.size() > 8192) return 0;  // every byte may have become three
  if (!other.ok() || other->path != target->path || other->query != target->query) std::abort();
  return 0;
}
