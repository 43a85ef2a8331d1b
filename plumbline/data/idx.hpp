#pragma once
/// IDX, the format of MNIST: big-endian header (two zero bytes, element type, number of axes, one 32-bit size an axis),
/// then the elements. Plain or gzip, told apart by content.
/// Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file format section.

#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::data {

/// Element type and axis sizes, judged against the size of the file.
struct IdxHeader {
  int type = 0;  ///< 8 = unsigned byte, 9 = signed byte, 0x0b = int16, 0x0c = int32, 0x0d = float, 0x0e = double
  std::vector<std::uint64_t> shape;
};

/// Reads the header alone.
/// Errors kIo, kParse: not IDX, little-endian header, sizes that the file cannot hold. kLimit.
base::Result<IdxHeader> peek_idx(const std::string& path, const ReadLimits& limits = {});

/// Unsigned-byte images: three axes (n, height, width) or four (n, channels, height, width). Plain files stay mapped.
/// `limit` > 0 reads the first rows only.
/// Errors kIo; kParse: wrong type or axes, truncated or overlong data; kLimit.
base::Result<Images> read_idx_images(const std::string& path, std::size_t limit = 0, const ReadLimits& limits = {});
base::Result<Images> parse_idx_images(Bytes bytes, const std::string& name, std::size_t limit = 0,
                                      const ReadLimits& limits = {});

/// Labels: one axis of bytes, 16- or 32-bit integers.
/// Errors as the images.
base::Result<std::vector<int>> read_idx_labels(const std::string& path, std::size_t limit = 0,
                                               const ReadLimits& limits = {});
base::Result<std::vector<int>> parse_idx_labels(Bytes bytes, const std::string& name, std::size_t limit = 0,
                                                const ReadLimits& limits = {});

/// Writes three axes for one channel, four for more. A path that ends in ".gz" is compressed.
/// Errors kIo; kValue: a label outside 0..255.
base::Status write_idx_images(const std::string& path, const Images& images);
base::Status write_idx_labels(const std::string& path, std::span<const int> labels);

}  // namespace plumbline::data
