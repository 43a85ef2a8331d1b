#include "plumbline/data/idx.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/data/files.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kMaxAxes = 4;

std::uint32_t big32(const std::uint8_t* p) {
  return (std::uint32_t{p[0]} << 24U) | (std::uint32_t{p[1]} << 16U) | (std::uint32_t{p[2]} << 8U) | p[3];
}

std::size_t element_bytes(int type) {
  switch (type) {
    case 0x08:
    case 0x09: return 1;
    case 0x0b: return 2;
    case 0x0c:
    case 0x0d: return 4;
    case 0x0e: return 8;
    default: return 0;
  }
}

/// A source of the file's content, inflated on the way where needed.
class Source {
 public:
  Source(Bytes bytes, const std::string& name) : bytes_(std::move(bytes)) {
    if (is_gzip(bytes_.span())) stream_.emplace(bytes_.span(), name);
  }
  bool compressed() const { return stream_.has_value(); }
  /// Bytes of content that the file can hold at most.
  std::uint64_t most() const { return compressed() ? inflate_bound(bytes_.size) : bytes_.size; }
  base::Result<std::size_t> read(std::span<std::uint8_t> out) {
    if (stream_) return stream_->read(out);
    const std::size_t take = std::min(out.size(), bytes_.size - position_);
    if (take > 0) std::memcpy(out.data(), bytes_.data.get() + position_, take);
    position_ += take;
    return take;
  }
  /// Plain files only: the next `count` bytes without a copy.
  std::shared_ptr<const std::uint8_t[]> view() const { return {bytes_.data, bytes_.data.get() + position_}; }
  std::size_t left() const { return bytes_.size - position_; }

 private:
  Bytes bytes_;
  std::optional<GzipStream> stream_;
  std::size_t position_ = 0;
};

base::Result<IdxHeader> read_header(Source& source, const std::string& name, const ReadLimits& limits) {
  std::array<std::uint8_t, 4> magic{};
  PL_TRY(const std::size_t got, source.read(magic));
  if (got < 4)
    return make_error(Code::kParse, fmt::format("holds {} bytes, expected an IDX header", got), name,
                      "the file is empty or truncated");
  if (magic[2] == 0 && magic[3] == 0 && magic[0] >= 1 && magic[0] <= kMaxAxes && element_bytes(magic[1]) > 0) {
    return make_error(Code::kParse, "has a little-endian IDX header, expected big-endian", name,
                      "write it again in network byte order");
  }
  if (magic[0] != 0 || magic[1] != 0 || element_bytes(magic[2]) == 0 || magic[3] < 1 || magic[3] > kMaxAxes) {
    return make_error(Code::kParse,
                      fmt::format("begins with bytes {:02x} {:02x} {:02x} {:02x}, expected IDX: 00 00, an element type "
                                  "(08 to 0e), 1 to {} axes",
                                  magic[0], magic[1], magic[2], magic[3], kMaxAxes),
                      name, "check that the file is IDX, plain or gzip");
  }
  IdxHeader header;
  header.type = magic[2];
  std::array<std::uint8_t, 4 * kMaxAxes> sizes{};
  const std::size_t size_bytes = 4 * std::size_t{magic[3]};
  PL_TRY(const std::size_t more, source.read(std::span(sizes).first(size_bytes)));
  if (more < size_bytes) return make_error(Code::kParse, "ends inside the IDX header", name, "the file is truncated");
  for (std::size_t i = 0; i < magic[3]; ++i) header.shape.push_back(big32(sizes.data() + 4 * i));

  const auto content = [&](const std::vector<std::uint64_t>& shape) -> std::optional<std::uint64_t> {
    std::uint64_t total = element_bytes(header.type);
    for (const std::uint64_t n : shape) {
      if (__builtin_mul_overflow(total, n, &total)) return std::nullopt;
    }
    return total;
  };
  const auto total = content(header.shape);
  const std::uint64_t offset = 4 + size_bytes;
  if (!total || *total + offset > source.most()) {
    std::vector<std::uint64_t> swapped;
    for (const std::uint64_t n : header.shape) swapped.push_back(__builtin_bswap32(static_cast<std::uint32_t>(n)));
    const auto other = content(swapped);
    const bool likely_swapped = other && *other + offset <= source.most();
    return make_error(Code::kParse,
                      fmt::format("promises {} elements, more than the file can hold ({} bytes)",
                                  fmt::join(header.shape, " x "), source.most()),
                      name,
                      likely_swapped ? "the sizes look little-endian: write the header again in network byte order"
                                     : "the file is truncated or its header is wrong");
  }
  if (header.shape[0] > limits.rows || *total / element_bytes(header.type) > limits.elements ||
      *total > limits.inflated_bytes) {
    return make_error(Code::kLimit,
                      fmt::format("promises {} elements, expected at most {} rows and {} elements",
                                  fmt::join(header.shape, " x "), limits.rows, limits.elements),
                      name, "read fewer rows with `limit`, or raise the limit");
  }
  return header;
}

/// After the last element nothing may follow.
base::Status expect_end(Source& source, const std::string& name) {
  std::array<std::uint8_t, 1> one{};
  PL_TRY(const std::size_t more, source.read(one));
  if (more != 0)
    return make_error(Code::kParse, "holds more bytes than its header promises", name,
                      "the header or the file is wrong: write it again");
  return base::ok();
}

base::Error truncated(const std::string& name, std::uint64_t got, std::uint64_t want) {
  return make_error(Code::kParse, fmt::format("ends after {} of {} bytes of data", got, want), name,
                    "the file is truncated: copy or download it again");
}

}  // namespace

base::Result<IdxHeader> peek_idx(const std::string& path, const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<IdxHeader> {
    PL_TRY(Bytes bytes, map_file(path, limits));
    Source source(std::move(bytes), path);
    return read_header(source, path, limits);
  });
}

base::Result<Images> parse_idx_images(Bytes bytes, const std::string& name, std::size_t limit,
                                      const ReadLimits& limits) {
  return guarded(name, [&]() -> base::Result<Images> {
    Source source(std::move(bytes), name);
    PL_TRY(const IdxHeader header, read_header(source, name, limits));
    if (header.type != 0x08 || header.shape.size() < 3) {
      return make_error(
          Code::kParse,
          fmt::format("holds elements of type {:#04x} on {} axes, expected unsigned bytes (0x08) on 3 or 4 axes",
                      header.type, header.shape.size()),
          name, header.shape.size() == 1 ? "this looks like a label file: name it under `labels`" : "");
    }
    Images images;
    const bool colour = header.shape.size() == 4;
    const std::uint64_t channels = colour ? header.shape[1] : 1;
    const std::uint64_t height = header.shape[colour ? 2 : 1];
    const std::uint64_t width = header.shape[colour ? 3 : 2];
    if (channels == 0 || height == 0 || width == 0) {
      return make_error(
          Code::kParse,
          fmt::format("holds images of {} x {} x {} pixels, expected at least 1 x 1 x 1", channels, height, width),
          name);
    }
    if (channels > 16 || height > 65535 || width > 65535) {
      return make_error(Code::kLimit,
                        fmt::format("holds images of {} x {} x {} pixels, expected at most 16 x 65535 x 65535",
                                    channels, height, width),
                        name);
    }
    images.count = header.shape[0];
    images.channels = static_cast<int>(channels);
    images.height = static_cast<int>(height);
    images.width = static_cast<int>(width);
    if (images.count == 0) return make_error(Code::kParse, "holds no images", name, "at least one is needed");
    const bool whole = limit == 0 || limit >= images.count;
    if (!whole) images.count = limit;
    const std::uint64_t want = static_cast<std::uint64_t>(images.count) * images.pixels();
    if (!source.compressed()) {
      images.bytes = source.view();
      if (whole && source.left() != want)
        return make_error(Code::kParse, "holds more bytes than its header promises", name,
                          "the header or the file is wrong: write it again");
      return images;
    }
    PL_TRY(auto buffer, allocate_bytes(want, name));
    PL_TRY(const std::size_t got, source.read({buffer.get(), want}));
    if (got < want) return truncated(name, got, want);
    if (whole) PL_CHECK(expect_end(source, name));
    images.bytes = std::move(buffer);
    return images;
  });
}

base::Result<Images> read_idx_images(const std::string& path, std::size_t limit, const ReadLimits& limits) {
  PL_TRY(Bytes bytes, map_file(path, limits));
  return parse_idx_images(std::move(bytes), path, limit, limits);
}

base::Result<std::vector<int>> parse_idx_labels(Bytes bytes, const std::string& name, std::size_t limit,
                                                const ReadLimits& limits) {
  return guarded(name, [&]() -> base::Result<std::vector<int>> {
    Source source(std::move(bytes), name);
    PL_TRY(const IdxHeader header, read_header(source, name, limits));
    if (header.shape.size() != 1 || header.type >= 0x0d) {
      return make_error(Code::kParse,
                        fmt::format("holds elements of type {:#04x} on {} axes, expected integers on 1 axis",
                                    header.type, header.shape.size()),
                        name, header.shape.size() >= 3 ? "this looks like an image file: name it under `images`" : "");
    }
    const bool whole = limit == 0 || limit >= header.shape[0];
    const std::size_t count = whole ? header.shape[0] : limit;
    if (count == 0) return make_error(Code::kParse, "holds no labels", name, "at least one is needed");
    const std::size_t size = element_bytes(header.type);
    std::vector<std::uint8_t> raw(count * size);
    PL_TRY(const std::size_t got, source.read(raw));
    if (got < raw.size()) return truncated(name, got, raw.size());
    if (whole) PL_CHECK(expect_end(source, name));
    std::vector<int> labels(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* const p = raw.data() + i * size;
      switch (header.type) {
        case 0x08: labels[i] = p[0]; break;
        case 0x09: labels[i] = static_cast<std::int8_t>(p[0]); break;
        case 0x0b: labels[i] = static_cast<std::int16_t>((std::uint16_t{p[0]} << 8U) | p[1]); break;
        default: labels[i] = static_cast<std::int32_t>(big32(p)); break;
      }
    }
    return labels;
  });
}

base::Result<std::vector<int>> read_idx_labels(const std::string& path, std::size_t limit, const ReadLimits& limits) {
  PL_TRY(Bytes bytes, map_file(path, limits));
  return parse_idx_labels(std::move(bytes), path, limit, limits);
}

namespace {

void append_big32(std::string& out, std::uint64_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xffU));
}

}  // namespace

base::Status write_idx_images(const std::string& path, const Images& images) {
  std::string out = images.channels == 1 ? std::string("\0\0\x08\x03", 4) : std::string("\0\0\x08\x04", 4);
  append_big32(out, images.count);
  if (images.channels != 1) append_big32(out, static_cast<std::uint64_t>(images.channels));
  append_big32(out, static_cast<std::uint64_t>(images.height));
  append_big32(out, static_cast<std::uint64_t>(images.width));
  out.append(reinterpret_cast<const char*>(images.bytes.get()), images.count * images.pixels());
  return write_bytes(path, out);
}

base::Status write_idx_labels(const std::string& path, std::span<const int> labels) {
  std::string out("\0\0\x08\x01", 4);
  append_big32(out, labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] > 255) {
      return make_error(Code::kValue, fmt::format("labels[{}] is {}, expected an integer in [0, 255]", i, labels[i]),
                        "write_idx_labels");
    }
    out.push_back(static_cast<char>(labels[i]));
  }
  return write_bytes(path, out);
}

}  // namespace plumbline::data
