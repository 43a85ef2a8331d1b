/// Runs every kept corpus file, its prefixes and one-byte changes of it, through every fuzz entry.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "tests/support/testing.hpp"

#define PL_ENTRY(NAME) extern "C" int fuzz_##NAME(const std::uint8_t* data, std::size_t size);
PLUMBLINE_ENTRIES
#undef PL_ENTRY

namespace plumbline {
namespace {

struct Entry {
  std::string name;
  int (*run)(const std::uint8_t*, std::size_t);
};

const std::vector<Entry>& entries() {
#define PL_ENTRY(NAME) {#NAME, fuzz_##NAME},
  static const std::vector<Entry> all = {PLUMBLINE_ENTRIES};
#undef PL_ENTRY
  return all;
}

void run(const Entry& entry, const std::string& bytes) {
  entry.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

TEST(FuzzReplay, EveryCorpusFileThroughEveryEntry) {
  std::size_t files = 0;
  for (const Entry& home : entries()) {
    const std::filesystem::path folder = std::filesystem::path(PLUMBLINE_CORPUS) / home.name;
    ASSERT_TRUE(std::filesystem::is_directory(folder)) << folder;
    std::vector<std::filesystem::path> paths;
    for (const auto& file : std::filesystem::directory_iterator(folder)) paths.push_back(file.path());
    std::sort(paths.begin(), paths.end());
    EXPECT_FALSE(paths.empty()) << folder;
    for (const auto& path : paths) {
      ++files;
      const std::string bytes = testing::read_file(path.string());
      for (const Entry& entry : entries()) run(entry, bytes);
      base::Rng rng(files);
      for (int i = 0; i < 60; ++i) {
        std::string changed = bytes.substr(0, i % 3 == 0 ? rng.below(bytes.size() + 1) : bytes.size());
        for (std::uint64_t k = rng.below(4); k > 0 && !changed.empty(); --k)
          changed[rng.below(changed.size())] = static_cast<char>(rng.below(256));
        run(home, changed);
      }
    }
  }
  EXPECT_GE(files, 20U);
}

}  // namespace
}  // namespace plumbline
