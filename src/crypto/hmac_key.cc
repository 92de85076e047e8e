#include "crypto/hmac_key.h"

// The one-shot and EVP interfaces of OpenSSL 3.0 look their algorithm up and allocate at every call: a few thousand
// instructions. These functions reach the same SHA-NI code directly.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace flexpert::crypto {
namespace {

constexpr std::size_t kBlock = SHA256_CBLOCK;

using State = std::array<std::uint32_t, 8>;

/// Hashes the key's block, each byte combined with `pad` (RFC 2104), and returns the state behind it.
State state_after(const std::array<std::uint8_t, kBlock>& key_block, std::uint8_t pad) {
  std::array<std::uint8_t, kBlock> block{};
  for (std::size_t i = 0; i < kBlock; ++i) block[i] = static_cast<std::uint8_t>(key_block[i] ^ pad);
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Transform(&context, block.data());
  State state{};
  std::copy(std::begin(context.h), std::end(context.h), state.begin());
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(&context, sizeof context);
  return state;
}

/// The most bytes that fit into one block with their padding.
constexpr std::size_t kShort = kBlock - 9;

void write_big_endian(std::uint8_t* to, std::uint32_t word) {
  if constexpr (std::endian::native == std::endian::little) word = std::byteswap(word);
  std::memcpy(to, &word, sizeof word);
}

/// Hashes `bytes` behind the one block that led to `state`.
void digest_behind(const State& state, const void* bytes, std::size_t size, std::uint8_t* digest) {
  SHA256_CTX context;
  std::copy(state.begin(), state.end(), std::begin(context.h));
  if (size <= kShort) {  // the padding of FIPS 180-4, 5.1.1, done here: one call, and no bytes moved twice
    std::array<std::uint8_t, kBlock> block{};
    if (size > 0) std::memcpy(block.data(), bytes, size);
    block[size] = 0x80;
    write_big_endian(&block[kBlock - 4], static_cast<std::uint32_t>((kBlock + size) * 8));
    SHA256_Transform(&context, block.data());
    for (std::size_t i = 0; i < state.size(); ++i) write_big_endian(digest + 4 * i, context.h[i]);
    return;
  }
  context.Nl = kBlock * 8;
  context.Nh = 0;
  context.num = 0;
  context.md_len = SHA256_DIGEST_LENGTH;
  SHA256_Update(&context, bytes, size);
  SHA256_Final(digest, &context);
}

}  // namespace

HmacKey::HmacKey(std::string_view key) {
  std::array<std::uint8_t, kBlock> block{};
  if (key.size() > kBlock) {
    const Digest hashed = sha256(key);
    std::copy(hashed.begin(), hashed.end(), block.begin());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  inner_ = state_after(block, 0x36);
  outer_ = state_after(block, 0x5c);
  OPENSSL_cleanse(block.data(), block.size());
}

HmacKey::~HmacKey() {
  OPENSSL_cleanse(inner_.data(), sizeof inner_);
  OPENSSL_cleanse(outer_.data(), sizeof outer_);
}

Digest HmacKey::sign(std::string_view message) const {
  Digest inside;
  digest_behind(inner_, message.data(), message.size(), inside.data());
  Digest signature;
  digest_behind(outer_, inside.data(), inside.size(), signature.data());
  return signature;
}

bool HmacKey::verify(std::string_view message, const Digest& signature) const {
  const Digest expected = sign(message);
  return CRYPTO_memcmp(expected.data(), signature.data(), signature.size()) == 0;
}

std::string random_bytes(std::size_t bytes) {
  std::string text(bytes, '\0');
  const int ok = RAND_bytes(reinterpret_cast<unsigned char*>(text.data()), static_cast<int>(bytes));
  FLEXPERT_CHECK(ok == 1, "OpenSSL's random generator gave nothing: the system has no entropy source");
  return text;
}

}  // namespace flexpert::crypto
