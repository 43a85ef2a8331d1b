#include "plumbline/data/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <zlib.h>

namespace plumbline::data {

base::Status write_bytes(const std::string& path, std::string_view bytes) {
  const auto failed = [&] {
    return base::make_error(base::Code::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), path,
                            "check that the folder exists, is writable and has room");
  };
  errno = 0;
  if (path.ends_with(".gz")) {
    gzFile file = gzopen(path.c_str(), "wb6");
    if (file == nullptr) return failed();
    bool good = true;
    for (std::size_t at = 0; good && at < bytes.size();) {
      const auto step = static_cast<unsigned>(std::min<std::size_t>(bytes.size() - at, std::size_t{1} << 30U));
      good = gzwrite(file, bytes.data() + at, step) == static_cast<int>(step);
      at += step;
    }
    if (gzclose(file) != Z_OK || !good) return failed();
    return base::ok();
  }
  std::FILE* const file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return failed();
  const bool good = bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !good) return failed();
  return base::ok();
}

}  // namespace plumbline::data
