#include "crypto/hmac_key.h"
#include "crypto/tests/rfc4231.h"

#include <gtest/gtest.h>

#include <openssl/evp.h>

#include "base/rng.h"

namespace flexpert::crypto {
namespace {

/// OpenSSL's own HMAC, by its EVP interface.
Digest reference(const std::string& key, const std::string& message) {
  Digest digest{};
  std::size_t length = 0;
  EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(), reinterpret_cast<const unsigned char*>(message.data()),
            message.size(), digest.data(), digest.size(), &length);
  EXPECT_EQ(length, digest.size());
  return digest;
}

TEST(HmacKey, GivesTheDigestsOfRfc4231) {
  for (const auto& [key, message, hex] : rfc4231()) EXPECT_EQ(to_hex(HmacKey(key).sign(message)), hex);
}

TEST(HmacKey, AgreesWithOpenSslAtEveryLengthAroundABlock) {
  Rng rng(4);
  for (std::size_t size = 1; size <= 200; ++size) {
    std::string key;
    std::string message;
    for (std::size_t i = 0; i < size; ++i) key += static_cast<char>(rng.next());
    for (std::size_t i = 0; i < 2 * size; ++i) message += static_cast<char>(rng.next());
    EXPECT_EQ(HmacKey(key).sign(message), reference(key, message)) << size;
    EXPECT_EQ(HmacKey(key).sign(message), HmacKey(key).sign(message));
  }
}

TEST(HmacKey, RefusesASignatureThatDiffersInAnyBit) {
  const HmacKey key("pepper");
  const Digest good = key.sign("message");
  EXPECT_TRUE(key.verify("message", good));
  EXPECT_FALSE(key.verify("massage", good));
  EXPECT_FALSE(HmacKey("paprika").verify("message", good));
  for (std::size_t bit = 0; bit < 256; ++bit) {
    Digest bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(key.verify("message", bad)) << bit;
  }
}

TEST(RandomBytes, AreAsManyAsAskedForAndDiffer) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(32).size(), 32U);
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

}  // namespace
}  // namespace flexpert::crypto
