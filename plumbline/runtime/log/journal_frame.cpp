#include "plumbline/runtime/log/journal_frame.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/base/crc32c.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kSegmentMagic = "PLJRNL01";
constexpr std::string_view kFrameMagic = "\xFFPJ\xFE";

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

std::uint64_t get(std::string_view bytes, std::uint64_t offset, int count) {
  std::uint64_t value = 0;
  for (int i = count; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

struct Frame {
  std::uint64_t group_start = 0;
  std::string_view payload;
};

/// The frame at the start of the bytes, if its checksum agrees.
std::optional<Frame> parse_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeader || !bytes.starts_with(kFrameMagic)) return std::nullopt;
  const std::uint64_t length = get(bytes, 4, 4);
  if (length == 0 || length > kLargestPayload || length > bytes.size() - kFrameHeader) return std::nullopt;
  const Frame frame{get(bytes, 8, 8), bytes.substr(kFrameHeader, length)};
  const std::uint32_t sum = base::crc32c(frame.payload, base::crc32c(bytes.substr(4, 12)));
  return sum == get(bytes, 16, 4) ? std::optional(frame) : std::nullopt;
}

/// The same in a segment, where the group must have begun at or before the frame.
std::optional<Frame> frame_at(std::string_view segment, std::uint64_t offset) {
  const auto frame = parse_frame(segment.substr(offset));
  const bool placed = frame && frame->group_start >= kSegmentHeader && frame->group_start <= offset;
  return placed ? frame : std::nullopt;
}

/// Where a whole frame of a group that began after `offset` lies, if anywhere.
std::optional<std::uint64_t> later_group(std::string_view segment, std::uint64_t offset) {
  for (std::size_t at = offset + 1; (at = segment.find(kFrameMagic, at)) != std::string_view::npos; ++at) {
    const auto frame = frame_at(segment, at);
    if (frame && frame->group_start > offset) return at;
  }
  return std::nullopt;
}

base::Error damaged(const std::string& name, std::uint64_t offset, const std::string& what) {
  return make_error(Code::kParse, what, fmt::format("{}, byte {}", name, offset),
                    "The disk or a program changed what was durable; restore the file from a copy");
}

std::optional<std::uint64_t> parse_header(std::string_view segment) {
  if (segment.size() < kSegmentHeader || segment.substr(0, 8) != kSegmentMagic) return std::nullopt;
  if (base::crc32c(segment.substr(0, 16)) != get(segment, 16, 4)) return std::nullopt;
  const std::uint64_t first = get(segment, 8, 8);
  return first == 0 ? std::nullopt : std::optional<std::uint64_t>(first);
}

}  // namespace

std::string segment_header(std::uint64_t first) {
  std::string out(kSegmentMagic);
  put(out, first, 8);
  put(out, base::crc32c(out), 4);
  return out;
}

void append_frame(std::string& out, std::uint64_t group_start, std::string_view payload) {
  base::ensure(!payload.empty() && payload.size() <= kLargestPayload, "a frame's payload has 1 byte to 16 MiB");
  std::string head;
  put(head, payload.size(), 4);
  put(head, group_start, 8);
  out += kFrameMagic;
  out += head;
  put(out, base::crc32c(payload, base::crc32c(head)), 4);
  out += payload;
}

std::uint64_t payload_length(std::string_view header) {
  return std::min<std::uint64_t>(get(header, 4, 4), kLargestPayload);
}

std::optional<std::string_view> check_frame(std::string_view bytes) {
  const auto frame = parse_frame(bytes);
  const bool whole = frame && kFrameHeader + frame->payload.size() == bytes.size();
  return whole ? std::optional(frame->payload) : std::nullopt;
}

base::Result<SegmentScan> scan_segment(std::string_view segment, const std::string& name, bool last,
                                       const FrameVisit& visit) {
  SegmentScan scan;
  const auto first = parse_header(segment);
  if (!first) {
    if (!last || later_group(segment, 0)) return damaged(name, 0, "the header of the segment is damaged");
    scan.torn_bytes = segment.size();
    return scan;
  }
  scan.first = *first;
  std::uint64_t at = kSegmentHeader;
  while (at < segment.size()) {
    const auto frame = frame_at(segment, at);
    if (!frame) {
      const std::string which = fmt::format("frame {} is damaged", scan.first + scan.frames);
      if (!last) return damaged(name, at, which + ", in a segment that was finished");
      if (const auto whole = later_group(segment, at))
        return damaged(name, at, fmt::format("{}, and byte {} holds a later one that is whole", which, *whole));
      break;
    }
    PL_CHECK(visit(at, frame->payload));
    ++scan.frames;
    at += kFrameHeader + frame->payload.size();
  }
  scan.valid_bytes = at;
  scan.torn_bytes = segment.size() - at;
  return scan;
}

}  // namespace plumbline::runtime
