#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/check.h"

namespace flexpert::crypto {
namespace {

Digest digest_of(const void* data, std::size_t size) {
  Digest digest{};
  std::size_t length = 0;
  const int ok = EVP_Q_digest(nullptr, "SHA256", nullptr, data, size, digest.data(), &length);
  FLEXPERT_CHECK(ok == 1 && length == digest.size(), "OpenSSL has no SHA256: its default provider is missing");
  return digest;
}

}  // namespace

Digest sha256(std::span<const std::byte> bytes) { return digest_of(bytes.data(), bytes.size()); }
Digest sha256(std::string_view text) { return digest_of(text.data(), text.size()); }
std::string sha256_hex(std::span<const std::byte> bytes) { return to_hex(sha256(bytes)); }
std::string sha256_hex(std::string_view text) { return to_hex(sha256(text)); }

Digest hmac_sha256(std::string_view key, std::string_view message) {
  Digest digest{};
  std::size_t length = 0;
  // OpenSSL takes a null key as "no key"; an empty one is a key of no bytes.
  const char* key_bytes = key.empty() ? "" : key.data();
  const unsigned char* out = EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key_bytes, key.size(),
                                       reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest.data(),
                                       digest.size(), &length);
  FLEXPERT_CHECK(out != nullptr && length == digest.size(), "OpenSSL has no HMAC with SHA256: its default provider is missing");
  return digest;
}

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
