#include "crypto/digest.h"
#include "crypto/tests/rfc4231.h"

#include <gtest/gtest.h>

namespace flexpert::crypto {
namespace {

// FIPS 180-4 examples, and RFC 6234's one million "a".
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfBytesIsThatOfTheSameText) {
  const std::string text = "abc";
  EXPECT_EQ(sha256(std::as_bytes(std::span(text))), sha256(text));
  EXPECT_EQ(sha256_hex(std::span<const std::byte>()), sha256_hex(""));
}

TEST(HmacSha256, GivesTheDigestsOfRfc4231) {
  for (const auto& [key, message, hex] : rfc4231()) EXPECT_EQ(to_hex(hmac_sha256(key, message)), hex);
}

TEST(HmacSha256, TakesAnEmptyKeyAndMessage) {
  EXPECT_EQ(to_hex(hmac_sha256("", "")), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(EqualInConstantTime, ComparesWholeSecrets) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("PREMIUM", "PREMIUM"));
  EXPECT_FALSE(equal_in_constant_time("PREMIUM", "PREMIUN"));
  EXPECT_FALSE(equal_in_constant_time("PREMIUM", "PREMIUM_"));
  EXPECT_FALSE(equal_in_constant_time("", "a"));
}

}  // namespace
}  // namespace flexpert::crypto
