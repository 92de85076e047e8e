#include "auth/api_key.h"

#include <gtest/gtest.h>

namespace flexpert::auth {
namespace {

ApiKeyRecord record(std::string id, std::uint8_t first) {
  ApiKeyRecord made;
  made.id = std::move(id);
  made.digest.fill(0);
  made.digest[0] = first;
  return made;
}

TEST(ApiKey, ATextIsAPrefixAnd43CharactersOfBase64url) {
  const std::string random(43, 'a');
  EXPECT_TRUE(is_api_key_text("fx-" + random));
  EXPECT_TRUE(is_api_key_text("fx-" + random.substr(2) + "-_"));
  for (const std::string& wrong :
       {std::string(), random, "fx-" + random + "a", "fx-" + random.substr(1), "FX-" + random, "sk-" + random,
        "fx-" + random.substr(1) + "=", "fx-" + random.substr(1) + "\n", "fx-" + random.substr(1) + std::string(1, '\0')})
    EXPECT_FALSE(is_api_key_text(wrong)) << wrong;
}

TEST(ApiKeys, AKeyIsFoundByItsWholeDigest) {
  const auto keys = ApiKeys::make({record("key_a", 1), record("key_b", 2)});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->find(record("", 2).digest, 5)->id, "key_b");
  EXPECT_EQ(keys->find(record("", 3).digest, 5), nullptr);
  KeyDigest same_beginning = record("", 2).digest;
  same_beginning[31] = 1;
  EXPECT_EQ(keys->find(same_beginning, 5), nullptr);
}

TEST(ApiKeys, ARevokedKeyIsNotFoundAndAnExpiredOneFromItsTimeOn) {
  ApiKeyRecord revoked = record("key_a", 1), expiring = record("key_b", 2);
  revoked.revoked_unix_ms = 100;
  expiring.expires_unix_ms = 100;
  const auto keys = ApiKeys::make({revoked, expiring});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->find(revoked.digest, 99), nullptr);
  EXPECT_NE(keys->find(expiring.digest, 99), nullptr);
  EXPECT_EQ(keys->find(expiring.digest, 100), nullptr);
}

TEST(ApiKeys, AnIdOrADigestTwiceIsAnErrorThatNamesTheKey) {
  const auto twice = ApiKeys::make({record("key_a", 1), record("key_a", 2)});
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("key_a"), std::string::npos);
  const auto same = ApiKeys::make({record("key_a", 1), record("key_b", 1)});
  ASSERT_FALSE(same);
  EXPECT_NE(same.error().message.find("key_b"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::auth
