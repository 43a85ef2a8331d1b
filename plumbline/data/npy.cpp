#include "plumbline/data/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/data/files.hpp"
#include "plumbline/data/npy_header.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kMaxAxes = 32;
constexpr std::size_t kMaxHeader = 1U << 16U;

base::Error bad_header(const std::string& name, std::string what, std::size_t at) {
  return make_error(Code::kParse, std::move(what), fmt::format("{}: byte {} of the NPY header", name, at),
                    "save the array again with numpy.save(path, array, allow_pickle=False)");
}

/// The header is a Python dict literal with the keys descr, fortran_order and shape.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  base::Result<NpyArray> parse() {
    NpyArray array;
    bool has_type = false;
    bool has_order = false;
    bool has_shape = false;
    PL_CHECK(expect('{'));
    while (!accept('}')) {
      PL_TRY(const std::string key, quoted());
      PL_CHECK(expect(':'));
      if (key == "descr") {
        PL_CHECK(type(array));
        has_type = true;
      } else if (key == "fortran_order") {
        if (accept_word("True")) {
          array.column_major = true;
        } else if (!accept_word("False")) {
          return bad_header(name_, "fortran_order is neither True nor False", at_);
        }
        has_order = true;
      } else if (key == "shape") {
        PL_CHECK(shape(array));
        has_shape = true;
      } else {
        return bad_header(
            name_, fmt::format("holds the key '{}', expected descr, fortran_order and shape", key.substr(0, 40)), at_);
      }
      if (!accept(',')) {
        PL_CHECK(expect('}'));
        break;
      }
    }
    if (!has_type || !has_order || !has_shape) return bad_header(name_, "lacks descr, fortran_order or shape", at_);
    return array;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }
  bool accept_word(std::string_view word) {
    skip();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  base::Status expect(char c) {
    if (accept(c)) return base::ok();
    return bad_header(name_, fmt::format("expected '{}'", c), at_);
  }
  base::Result<std::string> quoted() {
    skip();
    const char mark = at_ < text_.size() ? text_[at_] : '\0';
    if (mark != '\'' && mark != '"') return bad_header(name_, "expected a quoted word", at_);
    const std::size_t end = text_.find(mark, at_ + 1);
    if (end == std::string_view::npos) return bad_header(name_, "quote is not closed", at_);
    std::string word(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return word;
  }
  base::Status type(NpyArray& array) {
    skip();
    if (at_ < text_.size() && text_[at_] == '[') {
      return make_error(Code::kUnsupported, "holds records (a structured array), expected plain numbers", name_,
                        "save each field as an array of its own");
    }
    PL_TRY(const std::string word, quoted());
    const bool has_order = !word.empty() && (word[0] == '<' || word[0] == '>' || word[0] == '|' || word[0] == '=');
    const char order = has_order ? word[0] : '=';
    const std::string rest = has_order ? word.substr(1) : word;
    array.kind = rest.empty() ? '?' : rest[0];
    array.item_bytes = 0;
    if (rest.size() == 2 && rest[1] >= '1' && rest[1] <= '8') array.item_bytes = rest[1] - '0';
    array.swapped = order == '>' && array.item_bytes > 1;
    const int n = array.item_bytes;
    const bool known = (array.kind == 'f' && (n == 4 || n == 8)) || (array.kind == 'b' && n == 1) ||
                       ((array.kind == 'i' || array.kind == 'u') && (n == 1 || n == 2 || n == 4 || n == 8));
    if (known) return base::ok();
    if (array.kind == 'O') {
      return make_error(Code::kUnsupported, "holds pickled Python objects, which are code and never loaded", name_,
                        "convert the array to numbers: array.astype('f8')");
    }
    return make_error(
        Code::kUnsupported,
        fmt::format("holds elements of type '{}', expected f4, f8, i1 to i8, u1 to u8 or b1", word.substr(0, 40)),
        name_, "convert the array first, for example array.astype('f4')");
  }
  base::Status shape(NpyArray& array) {
    PL_CHECK(expect('('));
    while (!accept(')')) {
      skip();
      std::uint64_t size = 0;
      const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (status != std::errc{}) return bad_header(name_, "shape holds something else than a count", at_);
      at_ = static_cast<std::size_t>(end - text_.data());
      array.shape.push_back(size);
      if (array.shape.size() > kMaxAxes) return bad_header(name_, fmt::format("has more than {} axes", kMaxAxes), at_);
      if (!accept(',')) {
        PL_CHECK(expect(')'));
        break;
      }
    }
    return base::ok();
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};

/// What is read: all; the header of an array that is all there; a header that nothing follows.
enum class Part { kAll, kHeader, kHeaderAlone };

base::Result<NpyArray> parse_plain(const Bytes& bytes, const std::string& name, const ReadLimits& limits, Part part) {
  const auto view = bytes.span();
  constexpr std::array<std::uint8_t, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (view.size() < 10 || !std::equal(kMagic.begin(), kMagic.end(), view.begin())) {
    return make_error(Code::kParse,
                      fmt::format("is not an NPY or NPZ file ({} bytes, the first is not 0x93 'NUMPY')", view.size()),
                      name, view.empty() ? "the file is empty" : "save the array with numpy.save or numpy.savez");
  }
  const int version = view[6];
  if (version < 1 || version > 3) {
    return make_error(Code::kUnsupported, fmt::format("is NPY version {}.{}, expected 1 to 3", view[6], view[7]), name);
  }
  std::uint64_t length = std::uint64_t{view[8]} | (std::uint64_t{view[9]} << 8U);
  std::size_t start = 10;
  if (version >= 2) {
    if (view.size() < 12) return make_error(Code::kParse, "ends inside the NPY header", name, "the file is truncated");
    length |= (std::uint64_t{view[10]} << 16U) | (std::uint64_t{view[11]} << 24U);
    start = 12;
  }
  if (length > kMaxHeader)
    return make_error(Code::kLimit, fmt::format("has a header of {} bytes, expected at most {}", length, kMaxHeader),
                      name);
  if (start + length > view.size())
    return make_error(Code::kParse, "ends inside the NPY header", name, "the file is truncated");
  HeaderParser parser({reinterpret_cast<const char*>(view.data()) + start, static_cast<std::size_t>(length)}, name);
  PL_TRY(NpyArray array, parser.parse());

  std::uint64_t total = static_cast<std::uint64_t>(array.item_bytes);
  bool overflow = false;
  bool empty = false;
  for (const std::uint64_t n : array.shape) {
    empty = empty || n == 0;
    overflow = overflow || __builtin_mul_overflow(total, n, &total);
  }
  if (empty)
    return make_error(Code::kParse, fmt::format("has shape ({}), which holds no element", fmt::join(array.shape, ", ")),
                      name, "at least one is needed");
  const std::uint64_t held = view.size() - start - length;
  const bool alone = part == Part::kHeaderAlone;
  if (overflow || (total > held && !alone)) {
    return make_error(Code::kParse,
                      fmt::format("promises {} elements of {} bytes, but only {} bytes follow",
                                  fmt::join(array.shape, " x "), array.item_bytes, held),
                      name, "the file is truncated: copy or save it again");
  }
  if (total < held && !alone)
    return make_error(Code::kParse, fmt::format("holds {} bytes after the array", held - total), name,
                      "save one array a file, or use NPZ");
  if (array.rows() > limits.rows || array.row_elements() > limits.columns * 1024 ||
      array.elements() > limits.elements) {
    return make_error(Code::kLimit,
                      fmt::format("holds {} elements, expected at most {} rows and {} elements",
                                  fmt::join(array.shape, " x "), limits.rows, limits.elements),
                      name, "raise the limit, or save fewer rows");
  }
  if (part == Part::kAll)
    array.data = {std::shared_ptr<const std::uint8_t[]>(bytes.data, bytes.data.get() + start + length),
                  static_cast<std::size_t>(total)};
  return array;
}

struct ArchiveCloser {
  void operator()(archive* a) const { archive_read_free(a); }
};

std::string without_npy(std::string name) {
  if (name.ends_with(".npy")) name.resize(name.size() - 4);
  return name;
}

/// Finds one member of a ZIP and inflates it within the limits.
base::Result<Bytes> read_member(const Bytes& bytes, const std::string& name, const std::string& member,
                                const ReadLimits& limits, std::string* found) {
  const auto damaged = [&](archive* a) {
    const char* const detail = archive_error_string(a);
    return make_error(Code::kParse, fmt::format("is a damaged ZIP file ({})", detail != nullptr ? detail : "no detail"),
                      name, "save the arrays again with numpy.savez");
  };
  const auto open = [&](std::unique_ptr<archive, ArchiveCloser>& a) {
    a.reset(archive_read_new());
    archive_read_support_format_zip_seekable(a.get());
    return archive_read_open_memory(a.get(), bytes.data.get(), bytes.size) == ARCHIVE_OK;
  };
  std::unique_ptr<archive, ArchiveCloser> zip;
  if (!open(zip)) return damaged(zip.get());
  std::vector<std::string> names;
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(zip.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return damaged(zip.get());
    const char* const path = archive_entry_pathname(entry);
    names.push_back(without_npy(path != nullptr ? path : ""));
    if (names.size() > 10'000) return make_error(Code::kLimit, "holds more than 10000 members", name);
  }
  if (names.empty()) return make_error(Code::kParse, "holds no array", name, "save at least one with numpy.savez");
  if (member.empty() && names.size() > 1) {
    names.resize(std::min<std::size_t>(names.size(), 20));
    return make_error(Code::kValue, fmt::format("holds several arrays ({})", base::join_words(names)), name,
                      "name one with array = \"...\"");
  }
  const std::string wanted = member.empty() ? names.front() : without_npy(member);
  if (std::find(names.begin(), names.end(), wanted) == names.end()) {
    names.resize(std::min<std::size_t>(names.size(), 20));
    return make_error(Code::kValue, fmt::format("holds no array '{}', only {}", wanted, base::join_words(names)), name,
                      "name one with array = \"...\"");
  }
  if (!open(zip)) return damaged(zip.get());
  for (;;) {
    if (archive_read_next_header(zip.get(), &entry) != ARCHIVE_OK) return damaged(zip.get());
    const char* const path = archive_entry_pathname(entry);
    if (without_npy(path != nullptr ? path : "") == wanted) break;
  }
  std::vector<std::uint8_t> content;
  constexpr std::size_t kChunk = std::size_t{1} << 20U;
  for (;;) {
    const std::size_t old = content.size();
    content.resize(old + std::max(kChunk, old / 2));
    const la_ssize_t got = archive_read_data(zip.get(), content.data() + old, content.size() - old);
    if (got < 0) return damaged(zip.get());
    content.resize(old + static_cast<std::size_t>(got));
    if (content.size() > limits.inflated_bytes) {
      return make_error(Code::kLimit, fmt::format("inflates to more than {} bytes", limits.inflated_bytes),
                        name + ":" + wanted, "raise the limit if the array is meant to be this large");
    }
    if (got == 0) break;
  }
  *found = wanted;
  const auto owner = std::make_shared<std::vector<std::uint8_t>>(std::move(content));
  return Bytes{std::shared_ptr<const std::uint8_t[]>(owner, owner->data()), owner->size()};
}

base::Result<NpyArray> parse_any(Bytes bytes, const std::string& name, const std::string& member,
                                 const ReadLimits& limits, Part part) {
  return guarded(name, [&]() -> base::Result<NpyArray> {
    if (bytes.size >= 4 && std::memcmp(bytes.data.get(), "PK", 2) == 0) {
      std::string found;
      PL_TRY(const Bytes inner, read_member(bytes, name, member, limits, &found));
      return parse_plain(inner, name + ":" + found, limits, part);
    }
    if (is_gzip(bytes.span())) {
      PL_TRY(bytes, inflate_if_gzip(bytes, name, limits));
    }
    return parse_plain(bytes, name, limits, part);
  });
}

template <class T>
T load(const std::uint8_t* p, bool swapped) {
  std::array<std::uint8_t, sizeof(T)> raw{};
  std::memcpy(raw.data(), p, sizeof(T));
  if (swapped) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

/// Calls visit(element as its own type) for element `index` of storage.
template <class Visit>
void visit_element(const NpyArray& a, std::uint64_t index, Visit&& visit) {
  const std::uint8_t* const p = a.data.data.get() + index * static_cast<std::uint64_t>(a.item_bytes);
  if (a.kind == 'f') {
    a.item_bytes == 4 ? visit(load<float>(p, a.swapped)) : visit(load<double>(p, a.swapped));
  } else if (a.kind == 'i') {
    switch (a.item_bytes) {
      case 1: visit(load<std::int8_t>(p, false)); break;
      case 2: visit(load<std::int16_t>(p, a.swapped)); break;
      case 4: visit(load<std::int32_t>(p, a.swapped)); break;
      default: visit(load<std::int64_t>(p, a.swapped)); break;
    }
  } else {
    switch (a.item_bytes) {
      case 1: visit(load<std::uint8_t>(p, false)); break;
      case 2: visit(load<std::uint16_t>(p, a.swapped)); break;
      case 4: visit(load<std::uint32_t>(p, a.swapped)); break;
      default: visit(load<std::uint64_t>(p, a.swapped)); break;
    }
  }
}

/// Where element (row, k) lies in storage, k counting a row's elements in C order.
std::uint64_t storage_index(const NpyArray& a, std::uint64_t row, std::uint64_t k) {
  if (!a.column_major || a.shape.size() < 2) return row * a.row_elements() + k;
  std::uint64_t index = row;
  std::uint64_t stride = a.elements() / a.shape.back();
  for (std::size_t axis = a.shape.size() - 1; axis >= 1; --axis) {
    index += (k % a.shape[axis]) * stride;
    k /= a.shape[axis];
    stride /= a.shape[axis - 1];
  }
  return index;
}

template <class Matrix>
base::Result<Matrix> to_matrix(const NpyArray& a, const std::string& name, std::size_t limit) {
  using Scalar = typename Matrix::Scalar;
  return guarded(name, [&]() -> base::Result<Matrix> {
    const std::uint64_t rows = limit > 0 ? std::min<std::uint64_t>(limit, a.rows()) : a.rows();
    const std::uint64_t columns = a.row_elements();
    Matrix out(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
    const bool same = a.kind == 'f' && a.item_bytes == static_cast<int>(sizeof(Scalar)) && !a.swapped &&
                      (!a.column_major || a.shape.size() < 2);
    if (same) {
      std::memcpy(out.data(), a.data.data.get(), rows * columns * sizeof(Scalar));
      return out;
    }
    for (std::uint64_t i = 0; i < rows; ++i) {
      Scalar* const row = out.data() + i * columns;
      for (std::uint64_t k = 0; k < columns; ++k) {
        visit_element(a, storage_index(a, i, k), [&](auto value) { row[k] = static_cast<Scalar>(value); });
      }
    }
    return out;
  });
}

std::string header_text(std::string_view type, std::string_view shape) {
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  // Magic, version and length take 10 bytes; the whole header is padded to a multiple of 64 and ends in a newline.
  dict.append(63 - (10 + dict.size()) % 64, ' ');
  dict.push_back('\n');
  std::string out("\x93NUMPY\x01\x00", 8);
  out.push_back(static_cast<char>(dict.size() & 0xffU));
  out.push_back(static_cast<char>(dict.size() >> 8U));
  return out + dict;
}

template <class Matrix>
std::string matrix_bytes(const Matrix& m, std::string_view type) {
  std::string out = header_text(type, fmt::format("{}, {}", m.rows(), m.cols()));
  out.append(reinterpret_cast<const char*>(m.data()),
             static_cast<std::size_t>(m.size()) * sizeof(typename Matrix::Scalar));
  return out;
}

}  // namespace

std::uint64_t NpyArray::elements() const {
  std::uint64_t total = 1;
  for (const std::uint64_t n : shape) total *= n;
  return total;
}

std::uint64_t NpyArray::row_elements() const {
  std::uint64_t total = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) total *= shape[i];
  return total;
}

base::Result<NpyArray> read_npy(const std::string& path, const std::string& member, const ReadLimits& limits) {
  PL_TRY(Bytes bytes, map_file(path, limits));
  return parse_any(std::move(bytes), path, member, limits, Part::kAll);
}

base::Result<NpyArray> parse_npy(Bytes bytes, const std::string& name, const std::string& member,
                                 const ReadLimits& limits) {
  return parse_any(std::move(bytes), name, member, limits, Part::kAll);
}

base::Result<NpyArray> peek_npy(const std::string& path, const std::string& member, const ReadLimits& limits) {
  PL_TRY(Bytes bytes, map_file(path, limits));
  return parse_any(std::move(bytes), path, member, limits, Part::kHeader);
}

base::Result<NpyArray> parse_npy_header(std::span<const std::uint8_t> bytes, const std::string& name) {
  const auto owner = std::make_shared<std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
  const Bytes held{std::shared_ptr<const std::uint8_t[]>(owner, owner->data()), owner->size()};
  return guarded(name, [&] { return parse_plain(held, name, {}, Part::kHeaderAlone); });
}

base::Result<MatrixD> npy_to_double(const NpyArray& array, const std::string& name, std::size_t limit) {
  return to_matrix<MatrixD>(array, name, limit);
}
base::Result<MatrixF> npy_to_float(const NpyArray& array, const std::string& name, std::size_t limit) {
  return to_matrix<MatrixF>(array, name, limit);
}

base::Result<std::vector<int>> npy_to_ints(const NpyArray& array, const std::string& name, std::size_t limit) {
  if (array.shape.size() != 1 && array.row_elements() != 1) {
    return make_error(Code::kShape, fmt::format("has shape ({}), expected one axis", fmt::join(array.shape, ", ")),
                      name, "save labels as a vector of integers");
  }
  return guarded(name, [&]() -> base::Result<std::vector<int>> {
    const std::uint64_t rows = limit > 0 ? std::min<std::uint64_t>(limit, array.rows()) : array.rows();
    std::vector<int> out(rows);
    for (std::uint64_t i = 0; i < rows; ++i) {
      bool good = false;
      std::string shown;
      visit_element(array, i, [&](auto value) {
        using T = decltype(value);
        if constexpr (std::is_floating_point_v<T>) {
          good = std::isfinite(value) && value == std::floor(value) && std::abs(value) <= static_cast<T>(1 << 24U) * 64;
        } else {
          good = std::in_range<int>(value);
        }
        if (good) {
          out[i] = static_cast<int>(value);
        } else {
          shown = fmt::format("{}", value);
        }
      });
      if (!good)
        return make_error(Code::kValue, fmt::format("holds {}, expected an integer", shown),
                          fmt::format("{}: row {}", name, i));
    }
    return out;
  });
}

std::string npy_bytes(const MatrixD& matrix) { return matrix_bytes(matrix, "<f8"); }
std::string npy_bytes(const MatrixF& matrix) { return matrix_bytes(matrix, "<f4"); }
std::string npy_bytes(std::span<const int> values) {
  std::string out = header_text("<i4", fmt::format("{},", values.size()));
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return out;
}

base::Status write_npy(const std::string& path, const MatrixD& matrix) { return write_bytes(path, npy_bytes(matrix)); }
base::Status write_npy(const std::string& path, const MatrixF& matrix) { return write_bytes(path, npy_bytes(matrix)); }
base::Status write_npy(const std::string& path, std::span<const int> values) {
  return write_bytes(path, npy_bytes(values));
}

base::Status write_npz(const std::string& path, std::span<const NpzMember> members) {
  struct Closer {
    void operator()(archive* a) const { archive_write_free(a); }
    void operator()(archive_entry* e) const { archive_entry_free(e); }
  };
  const std::unique_ptr<archive, Closer> zip(archive_write_new());
  const auto failed = [&] {
    const char* const detail = archive_error_string(zip.get());
    return make_error(Code::kIo, fmt::format("cannot be written: {}", detail != nullptr ? detail : "no detail"), path,
                      "check that the folder exists, is writable and has room");
  };
  archive_write_set_format_zip(zip.get());
  archive_write_zip_set_compression_deflate(zip.get());
  if (archive_write_open_filename(zip.get(), path.c_str()) != ARCHIVE_OK) return failed();
  for (const NpzMember& member : members) {
    const std::unique_ptr<archive_entry, Closer> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), (member.name + ".npy").c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.npy.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    if (archive_write_header(zip.get(), entry.get()) != ARCHIVE_OK) return failed();
    if (archive_write_data(zip.get(), member.npy.data(), member.npy.size()) !=
        static_cast<la_ssize_t>(member.npy.size()))
      return failed();
  }
  if (archive_write_close(zip.get()) != ARCHIVE_OK) return failed();
  return base::ok();
}

}  // namespace plumbline::data
