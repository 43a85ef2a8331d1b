#pragma once
/// SHA-256 (content addresses, stream keys) through OpenSSL.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::base {

/// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text);
  /// Adds the length first, so that add_field("ab"), add_field("c") differs from add_field("a"), add_field("bc").
  Sha256& add_field(std::string_view text);
  /// Finishes and returns 64 lower-case hexadecimal digits. The object is spent afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
/// Errors kIo: the file cannot be read.
Result<std::string> sha256_file(const std::string& path);
/// First 16 bytes of the SHA-256 as two 64-bit words, little endian.
struct Key128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
Key128 key128(std::string_view text);

}  // namespace plumbline::base
