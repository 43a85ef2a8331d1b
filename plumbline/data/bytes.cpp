#include "plumbline/data/bytes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;

base::Error system_error(const std::string& path, int number) {
  return make_error(Code::kIo, fmt::format("cannot be read: {}", std::strerror(number)), path,
                    number == ENOENT ? "Check the path; relative ones in a manifest start at its folder" : "");
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

base::Result<Bytes> map_file(const std::string& path, const ReadLimits& limits) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return system_error(path, errno);
  struct stat facts {};
  if (::fstat(file.fd, &facts) != 0) return system_error(path, errno);
  if (S_ISDIR(facts.st_mode)) {
    return make_error(Code::kIo, "is a folder, expected a file", path, "name a file inside it");
  }
  if (!S_ISREG(facts.st_mode)) {
    return make_error(Code::kIo, "is not a regular file", path, "copy its content into a file first");
  }
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size > limits.file_bytes) {
    return make_error(Code::kLimit, fmt::format("holds {} bytes, expected at most {}", size, limits.file_bytes), path,
                      "split the file, or raise the limit");
  }
  if (size == 0) return Bytes{};
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) return system_error(path, errno);
  ::madvise(address, size, MADV_SEQUENTIAL);
  std::shared_ptr<const std::uint8_t[]> view(static_cast<const std::uint8_t*>(address), [size](const std::uint8_t* p) {
    ::munmap(const_cast<std::uint8_t*>(p), size);
  });
  return Bytes{std::move(view), static_cast<std::size_t>(size)};
}

base::Result<std::shared_ptr<std::uint8_t[]>> allocate_bytes(std::uint64_t count, std::string_view name) {
  auto* const raw = new (std::nothrow) std::uint8_t[std::max<std::uint64_t>(count, 1)];
  if (raw == nullptr) {
    return make_error(Code::kLimit, fmt::format("needs {} bytes of memory and the system refuses them", count),
                      std::string(name), "raise the memory limit, or read fewer rows with `limit`");
  }
  return std::shared_ptr<std::uint8_t[]>(raw);
}

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

std::uint64_t inflate_bound(std::uint64_t compressed) { return compressed * 1032 + 1032; }

struct GzipStream::State {
  z_stream stream{};
  std::string name;
  std::span<const std::uint8_t> input;
  std::size_t position = 0;
  bool open = false;
  bool finished = false;
};

GzipStream::GzipStream(std::span<const std::uint8_t> compressed, std::string name) : state_(std::make_unique<State>()) {
  state_->name = std::move(name);
  state_->input = compressed;
  state_->open = inflateInit2(&state_->stream, 16 + MAX_WBITS) == Z_OK;
}

GzipStream::~GzipStream() {
  if (state_->open) inflateEnd(&state_->stream);
}

base::Result<std::size_t> GzipStream::read(std::span<std::uint8_t> out) {
  State& s = *state_;
  if (!s.open) return make_error(Code::kLimit, "the decompressor could not be started", s.name);
  constexpr std::size_t kStep = std::size_t{1} << 30U;  // zlib counts in 32 bits
  std::size_t written = 0;
  while (written < out.size() && !s.finished) {
    if (s.position == s.input.size()) {
      return make_error(Code::kParse, fmt::format("compressed data ends early, at byte {}", s.position), s.name,
                        "the file is truncated: copy or download it again");
    }
    const std::size_t give = std::min(kStep, s.input.size() - s.position);
    const std::size_t take = std::min(kStep, out.size() - written);
    s.stream.next_in = const_cast<Bytef*>(s.input.data() + s.position);
    s.stream.avail_in = static_cast<uInt>(give);
    s.stream.next_out = out.data() + written;
    s.stream.avail_out = static_cast<uInt>(take);
    const int status = inflate(&s.stream, Z_NO_FLUSH);
    s.position += give - s.stream.avail_in;
    written += take - s.stream.avail_out;
    if (status == Z_STREAM_END) {
      if (is_gzip(s.input.subspan(s.position))) {
        inflateReset(&s.stream);
      } else {
        s.finished = true;
      }
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      return make_error(Code::kParse,
                        fmt::format("compressed data is damaged near byte {} ({})", s.position,
                                    s.stream.msg != nullptr ? s.stream.msg : "no detail"),
                        s.name, "copy or download the file again");
    }
  }
  return written;
}

base::Result<Bytes> inflate_if_gzip(Bytes bytes, const std::string& name, const ReadLimits& limits) {
  if (!is_gzip(bytes.span())) return bytes;
  GzipStream stream(bytes.span(), name);
  std::vector<std::uint8_t> buffer;
  constexpr std::size_t kChunk = std::size_t{1} << 20U;
  for (;;) {
    const std::size_t old = buffer.size();
    buffer.resize(old + std::max(kChunk, old / 2));
    PL_TRY(const std::size_t got, stream.read(std::span(buffer).subspan(old)));
    const bool end = old + got < buffer.size();
    buffer.resize(old + got);
    if (buffer.size() > limits.inflated_bytes) {
      return make_error(Code::kLimit, fmt::format("inflates to more than {} bytes", limits.inflated_bytes), name,
                        "raise the limit if the file is meant to be this large");
    }
    if (end) break;
  }
  const auto owner = std::make_shared<std::vector<std::uint8_t>>(std::move(buffer));
  return Bytes{std::shared_ptr<const std::uint8_t[]>(owner, owner->data()), owner->size()};
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    // Most text is ASCII: eight bytes at a time, as long as no high bit is set.
    for (std::uint64_t word = 0; i + sizeof word <= text.size(); i += sizeof word) {
      std::memcpy(&word, text.data() + i, sizeof word);
      if ((word & 0x8080808080808080U) != 0) break;
    }
    if (i == text.size()) break;
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t extra = 0;
    std::uint32_t point = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
      extra = 1;
      point = lead & 0x1fU;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      extra = 2;
      point = lead & 0x0fU;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      extra = 3;
      point = lead & 0x07U;
    } else {
      return false;
    }
    if (i + extra >= text.size()) return false;
    for (std::size_t k = 1; k <= extra; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0U) != 0x80U) return false;
      point = (point << 6U) | (next & 0x3fU);
    }
    if (extra == 2 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return false;
    if (extra == 3 && (point < 0x10000 || point > 0x10ffff)) return false;
    i += extra + 1;
  }
  return true;
}

}  // namespace plumbline::data
