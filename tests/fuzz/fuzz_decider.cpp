/// decider.json beside arrays that are whole: whatever it says, loading ends in parts that can be saved and loaded
/// again, or in an error.

#include <cstdlib>
#include <filesystem>

#include "plumbline/runtime/classifier_artifacts.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/support/testing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// The arrays that the kept decider.json names.
struct Folder {
  Folder() {
    for (const auto& file : std::filesystem::directory_iterator(PLUMBLINE_FUZZ_ARRAYS))
      std::filesystem::copy_file(file.path(), folder.file(file.path().filename().string()));
  }
  plumbline::testing::TempFolder folder;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace runtime = plumbline::runtime;
  static const Folder arrays;
  plumbline::testing::write_file(arrays.folder.file("decider.json"),
                                 std::string(reinterpret_cast<const char*>(data), size));
  const auto parts = runtime::load_parts(arrays.folder.path(), {.array_bytes = 1U << 20U});
  if (!parts.ok()) return 0;
  const plumbline::testing::TempFolder again;
  if (!runtime::save_parts(*parts, again.path()).ok()) std::abort();
  const auto loaded = runtime::load_parts(again.path());
  if (!loaded.ok() || runtime::parts_hash(*loaded) != runtime::parts_hash(*parts)) std::abort();
  return 0;
}
