#pragma once
/// The bytes of a journal's segment, apart from any file. A segment is a header (8 bytes of name and version, the
/// number of its first frame, a checksum) and frames: magic FF 50 4A FE, length, start of the group that the frame was
/// written with, CRC-32C of all that follows the magic, payload. Integers are little endian. The magic is no UTF-8, so
/// no text in a payload can look like a frame.
///
/// A group is written only when the one before it is durable. So after a frame that does not check, a whole frame of a
/// later group proves that something durable was damaged; without one, the damage lies in the last group, which nobody
/// was told of: a torn tail.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

inline constexpr std::uint64_t kSegmentHeader = 20;
inline constexpr std::uint64_t kFrameHeader = 20;
inline constexpr std::uint32_t kLargestPayload = 16U << 20U;

std::string segment_header(std::uint64_t first);
/// Adds a frame to `out`. Precondition: 0 < payload.size() <= kLargestPayload.
void append_frame(std::string& out, std::uint64_t group_start, std::string_view payload);

/// How long the payload is that a frame's header announces, at most kLargestPayload. Precondition: kFrameHeader bytes.
std::uint64_t payload_length(std::string_view header);
/// The payload, when the bytes are one whole, undamaged frame.
std::optional<std::string_view> check_frame(std::string_view bytes);

struct SegmentScan {
  std::uint64_t first = 0;  ///< number of the first frame; 0 when the header itself is torn
  std::uint64_t frames = 0;
  std::uint64_t valid_bytes = 0;  ///< up to here everything checks
  std::uint64_t torn_bytes = 0;   ///< behind it: a group that never became durable
};

/// Called with offset and payload of each frame, in order.
using FrameVisit = std::function<base::Status(std::uint64_t offset, std::string_view payload)>;

/// Every whole frame, in order. `last`: no segment comes after this one, so its tail may be torn.
/// Errors kParse: damage before a later group, or in a segment that is not the last, with `name` and offset. Those of
/// `visit`.
/// Cost  linear, at memory speed, when nothing is damaged.
base::Result<SegmentScan> scan_segment(std::string_view segment, const std::string& name, bool last,
                                       const FrameVisit& visit);

}  // namespace plumbline::runtime
