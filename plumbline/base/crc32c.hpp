#pragma once
/// CRC-32C (Castagnoli), the checksum of frames on disk: polynomial 0x1EDC6F41 reflected, start and end inverted. It
/// finds every burst of up to 32 bits and every odd number of flipped bits. Against an attacker it is no defence.
/// Cost: 8 bytes an instruction (SSE 4.2, which x86-64-v3 has). Source: RFC 3720, appendix B.4 has check values.

#include <cstdint>
#include <string_view>

namespace plumbline::base {

/// The checksum of the bytes; `before` is that of the bytes in front of them, so that parts can be added in order.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

}  // namespace plumbline::base
