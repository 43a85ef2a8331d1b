#include "plumbline/base/hash.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <vector>

#include <openssl/evp.h>

namespace plumbline::base {

struct Sha256::State {
  EVP_MD_CTX* context = nullptr;
  State() : context(EVP_MD_CTX_new()) {
    ensure(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

namespace {

std::array<unsigned char, 32> finish(EVP_MD_CTX* context) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  ensure(EVP_DigestFinal_ex(context, digest.data(), &size) == 1 && size == digest.size(), "SHA-256 failed");
  return digest;
}

std::string to_hex(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char b : bytes) {
    out += kDigits[b >> 4U];
    out += kDigits[b & 15U];
  }
  return out;
}

}  // namespace

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  ensure(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1, "SHA-256 failed");
  return *this;
}

Sha256& Sha256::add(std::string_view text) { return add(std::as_bytes(std::span(text.data(), text.size()))); }

Sha256& Sha256::add_field(std::string_view text) {
  const std::uint64_t size = text.size();
  std::array<std::byte, 8> prefix{};
  for (unsigned i = 0; i < 8; ++i) prefix[i] = static_cast<std::byte>((size >> (8 * i)) & 0xFFU);
  add(prefix);
  return add(text);
}

std::string Sha256::hex() { return to_hex(finish(state_->context)); }

std::string sha256_hex(std::string_view text) { return Sha256().add(text).hex(); }

Result<std::string> sha256_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr)
    return make_error(Code::kIo, "cannot be opened for reading", path, "Check the path and permissions");
  Sha256 hash;
  std::vector<std::byte> buffer(1U << 20U);
  std::size_t got = 0;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) hash.add(std::span(buffer).first(got));
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return make_error(Code::kIo, "reading failed", path);
  return hash.hex();
}

Key128 key128(std::string_view text) {
  // Finding the algorithm costs several times what a short text does, so each thread keeps a context that has it.
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  thread_local std::unique_ptr<EVP_MD_CTX, Free> context;
  const bool fresh = !context;
  if (fresh) context.reset(EVP_MD_CTX_new());
  ensure(context && EVP_DigestInit_ex(context.get(), fresh ? EVP_sha256() : nullptr, nullptr) == 1,
         "SHA-256 is not available");
  EVP_DigestUpdate(context.get(), text.data(), text.size());
  const auto digest = finish(context.get());
  Key128 key;
  for (unsigned i = 0; i < 8; ++i) {
    key.low |= static_cast<std::uint64_t>(digest[i]) << (8 * i);
    key.high |= static_cast<std::uint64_t>(digest[8 + i]) << (8 * i);
  }
  return key;
}

}  // namespace plumbline::base
