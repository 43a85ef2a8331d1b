#pragma once
/// One array of an NPZ, read from front to back without being held.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "plumbline/base/result.hpp"

namespace plumbline::data {

/// Little-endian float64 or int32 in C order, stored or compressed. Holds a buffer of the file, and no more.
class NpzStream {
 public:
  /// Errors kIo; kParse: no ZIP, no such member, no array; kUnsupported: another type or order.
  static base::Result<NpzStream> open(const std::string& path, const std::string& member);
  NpzStream(NpzStream&&) noexcept;
  NpzStream& operator=(NpzStream&&) noexcept;
  ~NpzStream();

  bool holds_doubles() const;
  std::uint64_t rows() const;
  /// Elements of one row.
  std::uint64_t width() const;
  /// The next elements. Errors kParse: fewer are left, or the file is damaged. Precondition: the type is the array's.
  base::Status read(std::span<double> out);
  base::Status read(std::span<int> out);
  base::Status skip(std::uint64_t elements);

 private:
  struct State;
  explicit NpzStream(std::unique_ptr<State> state);
  base::Status read_bytes(std::uint8_t* out, std::size_t count);
  std::unique_ptr<State> state_;
};

}  // namespace plumbline::data
