#include <cstdlib>
#include <string>
#include <vector>

#include "plumbline/runtime/log/guard_event.hpp"
#include "plumbline/runtime/log/journal_files.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace runtime = plumbline::runtime;
  const plumbline::data::Bytes bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view segment(reinterpret_cast<const char*>(bytes.data.get()), size);
  for (const bool last : {false, true}) {
    const auto scan = runtime::scan_segment(segment, "x", last, [](std::uint64_t, std::string_view payload) {
      const auto event = runtime::parse_guard_event(payload, "x");
      if (event.ok()) {
        // What was read can be written, and says the same.
        const auto text = runtime::to_json(*event);
        if (text.ok() && !runtime::parse_guard_event(*text, "x").ok()) std::abort();
      }
      return plumbline::base::ok();
    });
    if (scan.ok() && scan->first != 0 && scan->valid_bytes + scan->torn_bytes != size) std::abort();
    if (scan.ok() && !last && scan->torn_bytes != 0) std::abort();
  }
  // The same bytes as a snapshot: taken whole, or not at all.
  std::vector<runtime::KeptFrame> frames;
  std::uint64_t first = 0;
  for (std::size_t i = 8; i < 16 && i < size; ++i) first |= static_cast<std::uint64_t>(data[i]) << (8 * (i - 8));
  const auto whole = runtime::scan_snapshot(segment, first, "x", [&](const runtime::JournalFrame& frame) {
    frames.push_back({frame.number, std::string(frame.payload)});
    return plumbline::base::ok();
  });
  // Another grouping of the frames says the same, but these bytes have one form.
  if (whole.ok() && runtime::snapshot_bytes(first, frames).size() != size) std::abort();
  (void)runtime::parse_guard_event(segment, "x");
  return 0;
}
