#pragma once
/// Bytes of untrusted files: mapped or inflated, always within stated bounds.

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::data {

/// What a reader may take in before it stops with kLimit. Every reader obeys all that apply to it.
struct ReadLimits {
  std::uint64_t file_bytes = 16ULL << 30U;      ///< of the file as stored
  std::uint64_t inflated_bytes = 16ULL << 30U;  ///< after decompression
  std::uint64_t rows = 200'000'000;
  std::uint64_t columns = 1'000'000;
  std::uint64_t elements = 4'000'000'000;
  std::uint64_t cell_bytes = 1U << 20U;  ///< of one text cell
};

/// Read-only bytes, owned or memory-mapped; copies share them.
struct Bytes {
  std::shared_ptr<const std::uint8_t[]> data;
  std::size_t size = 0;
  std::span<const std::uint8_t> span() const { return {data.get(), size}; }
};

/// The file's bytes, memory-mapped (an empty file gives size 0).
/// Errors kIo: missing, a folder, no permission. kLimit: larger than limits.file_bytes.
base::Result<Bytes> map_file(const std::string& path, const ReadLimits& limits = {});

/// `count` uninitialised bytes, or kLimit where the system refuses them.
base::Result<std::shared_ptr<std::uint8_t[]>> allocate_bytes(std::uint64_t count, std::string_view name);

/// The first two bytes are gzip's.
bool is_gzip(std::span<const std::uint8_t> bytes);

/// Most bytes that `compressed` bytes of deflate can stand for (1032 : 1), so that a header's promise can be judged
/// before anything is allocated for it.
std::uint64_t inflate_bound(std::uint64_t compressed);

/// Streaming gunzip of bytes in memory (several members in a row are one stream; the checksum is verified at each end).
class GzipStream {
 public:
  GzipStream(std::span<const std::uint8_t> compressed, std::string name);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  /// Fills `out` as far as the stream goes; returns the number of bytes written. Less than asked for means the end.
  /// Errors kParse: damaged or truncated stream, with the byte offset.
  base::Result<std::size_t> read(std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The bytes themselves, or their inflated form when they are gzip.
/// Errors kParse as GzipStream. kLimit: more than limits.inflated_bytes.
base::Result<Bytes> inflate_if_gzip(Bytes bytes, const std::string& name, const ReadLimits& limits = {});

/// Text in valid UTF-8; a byte-order mark counts as valid.
bool is_utf8(std::string_view text);

/// Runs a reader's body; memory that the system refuses, and any exception of a library, become errors that name the
/// file.
template <class Body>
auto guarded(const std::string& name, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return base::make_error(base::Code::kLimit, "the system has no memory left for this file", name,
                            "raise the memory limit, or read fewer rows with `limit`");
  } catch (const std::length_error&) {
    return base::make_error(base::Code::kLimit, "the file asks for more memory than a process can have", name);
  } catch (const base::InternalError&) {
    throw;
  } catch (const std::exception& e) {
    return base::make_error(base::Code::kIo, std::string("cannot be read: ") + e.what(), name);
  }
}

}  // namespace plumbline::data
