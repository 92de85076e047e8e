#include "crypto/digest.h"

// EVP of OpenSSL 3.0 looks its algorithm up and allocates at every call: a few thousand instructions for a short text. These
// functions reach the same SHA-NI code directly.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "crypto/hmac_key.h"

namespace flexpert::crypto {
namespace {

Digest digest_of(const void* data, std::size_t size) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data, size);
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace

Digest sha256(std::span<const std::byte> bytes) { return digest_of(bytes.data(), bytes.size()); }
Digest sha256(std::string_view text) { return digest_of(text.data(), text.size()); }
std::string sha256_hex(std::span<const std::byte> bytes) { return to_hex(sha256(bytes)); }
std::string sha256_hex(std::string_view text) { return to_hex(sha256(text)); }

Digest sha256(std::span<const std::string_view> parts) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (const std::string_view part : parts) SHA256_Update(&context, part.data(), part.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view message) { return HmacKey(key).sign(message); }

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace flexpert::crypto
