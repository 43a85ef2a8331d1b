#include "plumbline/data/npz_stream.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "plumbline/data/npy.hpp"
#include "plumbline/data/npy_header.hpp"

namespace plumbline::data {

using base::Code;
using base::make_error;

struct NpzStream::State {
  struct Closer {
    void operator()(archive* a) const { archive_read_free(a); }
  };
  std::unique_ptr<archive, Closer> zip;
  std::string place;
  NpyArray shape;
};

NpzStream::NpzStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
NpzStream::NpzStream(NpzStream&&) noexcept = default;
NpzStream& NpzStream::operator=(NpzStream&&) noexcept = default;
NpzStream::~NpzStream() = default;

base::Result<NpzStream> NpzStream::open(const std::string& path, const std::string& member) {
  auto state = std::make_unique<State>();
  state->place = path + ":" + member;
  state->zip.reset(archive_read_new());
  archive_read_support_format_zip_seekable(state->zip.get());
  constexpr std::size_t kBuffer = std::size_t{1} << 18U;
  if (archive_read_open_filename(state->zip.get(), path.c_str(), kBuffer) != ARCHIVE_OK) {
    const char* const detail = archive_error_string(state->zip.get());
    return make_error(Code::kIo, fmt::format("cannot be read ({})", detail != nullptr ? detail : "no detail"), path);
  }
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(state->zip.get(), &entry);
    if (status == ARCHIVE_EOF) return make_error(Code::kParse, fmt::format("holds no array '{}'", member), path);
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
      return make_error(Code::kParse, "is no ZIP file, or a damaged one", path, "save the arrays with numpy.savez");
    const char* const name = archive_entry_pathname(entry);
    if (name != nullptr && (name == member || name == member + ".npy")) break;
  }
  NpzStream out(std::move(state));
  // Magic, version, and the length of the text that follows: 10 bytes in version 1, 12 in later ones.
  std::vector<std::uint8_t> head(10);
  PL_CHECK(out.read_bytes(head.data(), head.size()));
  std::size_t length = static_cast<std::size_t>(head[8]) | static_cast<std::size_t>(head[9]) << 8U;
  if (head[6] >= 2) {
    head.resize(12);
    PL_CHECK(out.read_bytes(head.data() + 10, 2));
    length |= static_cast<std::size_t>(head[10]) << 16U | static_cast<std::size_t>(head[11]) << 24U;
  }
  constexpr std::size_t kLongestHeader = std::size_t{1} << 20U;
  if (std::memcmp(head.data() + 1, "NUMPY", 5) != 0 || length > kLongestHeader)
    return make_error(Code::kParse, "is no NPY array", out.state_->place);
  const std::size_t prefix = head.size();
  head.resize(prefix + length);
  PL_CHECK(out.read_bytes(head.data() + prefix, length));
  PL_TRY(out.state_->shape, parse_npy_header(head, out.state_->place));
  const NpyArray& a = out.state_->shape;
  const bool fits = ((a.kind == 'f' && a.item_bytes == 8) || (a.kind == 'i' && a.item_bytes == 4)) && !a.swapped &&
                    (!a.column_major || a.shape.size() < 2) && !a.shape.empty();
  if (!fits)
    return make_error(Code::kUnsupported, "is streamed as float64 or int32 in C order alone", out.state_->place);
  return out;
}

bool NpzStream::holds_doubles() const { return state_->shape.kind == 'f'; }
std::uint64_t NpzStream::rows() const { return state_->shape.rows(); }
std::uint64_t NpzStream::width() const { return state_->shape.row_elements(); }

base::Status NpzStream::read_bytes(std::uint8_t* out, std::size_t count) {
  while (count > 0) {
    const la_ssize_t got = archive_read_data(state_->zip.get(), out, count);
    if (got < 0) return make_error(Code::kParse, "is damaged", state_->place);
    if (got == 0) return make_error(Code::kParse, "ends too early", state_->place);
    out += got;
    count -= static_cast<std::size_t>(got);
  }
  return base::ok();
}

base::Status NpzStream::read(std::span<double> out) {
  return read_bytes(reinterpret_cast<std::uint8_t*>(out.data()), out.size_bytes());
}

base::Status NpzStream::read(std::span<int> out) {
  return read_bytes(reinterpret_cast<std::uint8_t*>(out.data()), out.size_bytes());
}

base::Status NpzStream::skip(std::uint64_t elements) {
  std::vector<std::uint8_t> sink(std::size_t{1} << 18U);
  std::uint64_t left = elements * static_cast<std::uint64_t>(state_->shape.item_bytes);
  while (left > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, sink.size()));
    PL_CHECK(read_bytes(sink.data(), part));
    left -= part;
  }
  return base::ok();
}

}  // namespace plumbline::data
