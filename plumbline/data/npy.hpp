#pragma once
/// NumPy's array files: NPY versions 1 to 3 and NPZ (a ZIP of them). Numbers only; pickled objects are code and
/// refused. Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::data {

/// An array as stored: kind 'f' (4 or 8 bytes), 'i' or 'u' (1 to 8 bytes), 'b' (1 byte).
struct NpyArray {
  char kind = 'f';
  int item_bytes = 4;
  bool swapped = false;       ///< big-endian
  bool column_major = false;  ///< Fortran order
  std::vector<std::uint64_t> shape;
  Bytes data;  ///< exactly the elements; shares the mapped file where it can

  std::uint64_t elements() const;
  std::uint64_t rows() const { return shape.empty() ? 1 : shape.front(); }
  /// Elements of one row.
  std::uint64_t row_elements() const;
};

/// `member` names the array of an NPZ; empty takes the only one. Both formats are told apart by content.
/// Errors kIo; kParse: not NPY, a header that the file cannot hold, truncated or overlong data, damaged ZIP;
/// kUnsupported: objects,
///         text, records, complex numbers, half precision; kValue: several members and none named, or no such member;
///         kLimit.
base::Result<NpyArray> read_npy(const std::string& path, const std::string& member = {}, const ReadLimits& limits = {});
base::Result<NpyArray> parse_npy(Bytes bytes, const std::string& name, const std::string& member = {},
                                 const ReadLimits& limits = {});
/// Header only: shape and type, without elements (data.size is 0). An NPZ is read whole.
base::Result<NpyArray> peek_npy(const std::string& path, const std::string& member = {}, const ReadLimits& limits = {});

/// Rows of the array, later axes flattened in C order; one axis becomes one column. `limit` > 0 takes the first rows
/// only. NaN and infinity pass through.
base::Result<MatrixD> npy_to_double(const NpyArray& array, const std::string& name, std::size_t limit = 0);
base::Result<MatrixF> npy_to_float(const NpyArray& array, const std::string& name, std::size_t limit = 0);
/// One axis (or n x 1) of integers, booleans, or floats that hold integers.
/// Errors kShape: more than one axis. kValue: not an integer, or outside the range of int; the message gives the row.
base::Result<std::vector<int>> npy_to_ints(const NpyArray& array, const std::string& name, std::size_t limit = 0);

/// Version 1.0, little-endian, C order. Errors kIo.
base::Status write_npy(const std::string& path, const MatrixD& matrix);
base::Status write_npy(const std::string& path, const MatrixF& matrix);
base::Status write_npy(const std::string& path, std::span<const int> values);
/// The bytes that write_npy writes.
std::string npy_bytes(const MatrixD& matrix);
std::string npy_bytes(const MatrixF& matrix);
std::string npy_bytes(std::span<const int> values);

struct NpzMember {
  std::string name;  ///< without ".npy"
  std::string npy;   ///< from npy_bytes
};
/// A compressed NPZ. Errors kIo.
base::Status write_npz(const std::string& path, std::span<const NpzMember> members);

}  // namespace plumbline::data
