#include "crypto/hmac_key.h"

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

// RFC 4231, test cases 1, 2, 3, 4, 6 and 7.
TEST(HmacKey, GivesTheDigestsOfRfc4231) {
  const auto hmac = [](const std::string& key, const std::string& message) { return to_hex(HmacKey(key).sign(message)); };
  EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  std::string counting;
  for (char c = 1; c <= 25; ++c) counting += c;
  EXPECT_EQ(hmac(counting, std::string(50, '\xcd')), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  EXPECT_EQ(hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hmac(std::string(131, '\xaa'), "This is a test using a larger than block-size key and a larger than block-size "
                                           "data. The key needs to be hashed before being used by the HMAC algorithm."),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
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

// RFC 4648, section 10, without padding; the last has the two digits in which base64url differs.
TEST(Base64url, IsThatOfRfc4648) {
  EXPECT_EQ(to_base64url(""), "");
  EXPECT_EQ(to_base64url("f"), "Zg");
  EXPECT_EQ(to_base64url("fo"), "Zm8");
  EXPECT_EQ(to_base64url("foo"), "Zm9v");
  EXPECT_EQ(to_base64url("foob"), "Zm9vYg");
  EXPECT_EQ(to_base64url("fooba"), "Zm9vYmE");
  EXPECT_EQ(to_base64url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64url("\xfb\xff\xfe"), "-__-");
}

}  // namespace
}  // namespace flexpert::crypto
