#include "plumbline/base/crc32c.hpp"

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::base {
namespace {

/// The definition, one bit at a time.
std::uint32_t slow_crc32c(std::string_view bytes) {
  std::uint32_t sum = ~std::uint32_t{0};
  for (const char c : bytes) {
    sum ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1U) ^ ((sum & 1U) != 0 ? 0x82F63B78U : 0U);
  }
  return ~sum;
}

TEST(Crc32c, CheckValuesOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
}

TEST(Crc32c, AgreesWithTheDefinitionHoweverItIsCut) {
  Rng rng(1);
  for (std::size_t size = 0; size < 80; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(rng.below(256));
    const std::uint32_t expected = slow_crc32c(bytes);
    for (std::size_t cut = 0; cut <= size; ++cut)
      ASSERT_EQ(crc32c(std::string_view(bytes).substr(cut), crc32c(std::string_view(bytes).substr(0, cut))), expected);
  }
}

}  // namespace
}  // namespace plumbline::base
