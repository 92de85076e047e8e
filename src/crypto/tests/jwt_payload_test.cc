#include "crypto/jwt_payload.h"

#include <gtest/gtest.h>

namespace flexpert::crypto {
namespace {

TEST(JwtPayload, ReadsClaimsByNameAndPath) {
  const auto payload = JwtPayload::parse(R"({"sub":"me","exp":12.5,"aud":"a","roles":["x","y"],)"
                                         R"("realm":{"access":{"roles":["z"]}},"https://a.b/c":"dotted"})");
  ASSERT_TRUE(payload);
  EXPECT_EQ(**payload->text("sub"), "me");
  EXPECT_EQ(**payload->number("exp"), 12.5);
  EXPECT_EQ(*payload->texts("aud"), std::vector<std::string>({"a"}));
  EXPECT_EQ(*payload->texts("roles"), std::vector<std::string>({"x", "y"}));
  EXPECT_EQ(*payload->texts("realm.access.roles"), std::vector<std::string>({"z"}));
  EXPECT_EQ(**payload->text("https://a.b/c"), "dotted");
}

TEST(JwtPayload, HasNothingWhereAClaimIsMissing) {
  const auto payload = JwtPayload::parse(R"({"a":{"b":1},"t":"x"})");
  ASSERT_TRUE(payload);
  for (const char* name : {"c", "a.c", "a.b.c", "t.u", "", ".", "a.", ".a", "a..b"}) {
    EXPECT_EQ(*payload->text(name), std::nullopt) << name;
    EXPECT_EQ(*payload->number(name), std::nullopt) << name;
    EXPECT_TRUE(payload->texts(name)->empty()) << name;
  }
}

TEST(JwtPayload, RefusesClaimsOfOddTypes) {
  const auto payload = JwtPayload::parse(R"({"n":null,"b":true,"i":1,"o":{},"l":["a",1],"s":"1"})");
  ASSERT_TRUE(payload);
  for (const char* name : {"n", "b", "i", "o", "l"}) EXPECT_FALSE(payload->text(name)) << name;
  for (const char* name : {"n", "b", "o", "l", "s"}) EXPECT_FALSE(payload->number(name)) << name;
  for (const char* name : {"n", "b", "i", "o", "l"}) EXPECT_FALSE(payload->texts(name)) << name;
}

TEST(JwtPayload, RefusesWhatTwoReadersCouldReadDifferently) {
  for (const char* text : {"", "[]", "1", R"({"a":1,"a":2})", R"({"a":{"b":1,"b":1}})", "{} {}", R"({"a":1e999})", "{\"a\":\"\xff\"}",
                           R"({"a":NaN})", R"({"a":"\u0000"})"})
    EXPECT_FALSE(JwtPayload::parse(text)) << text;
  EXPECT_FALSE(JwtPayload::parse(std::string(5000, '{')));
}

}  // namespace
}  // namespace flexpert::crypto
