#include "auth/jwt_claims.h"

#include <gtest/gtest.h>

#include <limits>

namespace flexpert::auth {
namespace {

constexpr double kNow = 1'000'000;

JwtRules rules() {
  return {.issuer = "https://idp",
          .audiences = {"gateway", "other"},
          .leeway_s = 30,
          .default_roles = {"user"},
          .allowed_roles = {"user", "analyst"}};
}

JwtClaims claims() {
  JwtClaims good;
  good.issuer = "https://idp";
  good.subject = "alice";
  good.audiences = {"x", "gateway"};
  good.expires = kNow + 60;
  return good;
}

template <class Change>
std::string fault(Change change) {
  JwtClaims changed = claims();
  change(changed);
  const auto identity = identify_jwt(changed, rules(), kNow);
  return identity ? "" : identity.error().message;
}

TEST(IdentifyJwt, NamesSubjectTenantAndRoles) {
  JwtClaims token = claims();
  token.tenant = "acme";
  token.roles = {"analyst"};
  const auto identity = identify_jwt(token, rules(), kNow);
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_EQ(identity->credential, Credential::kJwt);
  EXPECT_EQ(identity->id, "alice");
  EXPECT_EQ(identity->tenant, "acme");
  EXPECT_EQ(identity->roles, std::vector<std::string>({"user", "analyst"}));
  EXPECT_EQ(identify_jwt(claims(), rules(), kNow)->tenant, "https://idp");
}

TEST(IdentifyJwt, TakesOneTextOfRolesAndDropsThoseThatAreNotAllowed) {
  JwtClaims token = claims();
  token.roles = {"admin analyst  root token:PREMIUM", "analyst"};
  EXPECT_EQ(identify_jwt(token, rules(), kNow)->roles, std::vector<std::string>({"user", "analyst"}));
  JwtRules open = rules();
  open.allowed_roles = {};
  EXPECT_EQ(identify_jwt(token, open, kNow)->roles, std::vector<std::string>({"user", "admin", "analyst", "root"}));
}

TEST(IdentifyJwt, AnIssuerNamesOnlyTenantsOfItsOwnAndNeverNobodys) {
  const auto taken = [](const JwtRules& wanted, std::optional<std::string> tenant) {
    JwtClaims token = claims();
    token.tenant = std::move(tenant);
    return identify_jwt(token, wanted, kNow).has_value();
  };
  JwtRules limited = rules();
  limited.allowed_tenants = {"acme"};
  EXPECT_TRUE(taken(limited, "acme"));
  EXPECT_FALSE(taken(limited, "umbrella"));
  EXPECT_FALSE(taken(limited, "ACME"));
  EXPECT_TRUE(taken(limited, std::nullopt)) << "it is the issuer's own then";
  EXPECT_TRUE(taken(rules(), "umbrella"));
  EXPECT_FALSE(taken(rules(), "anonymous"));
}

TEST(IdentifyJwt, NeedsTheIssuerAndAnAudience) {
  EXPECT_EQ(fault([](JwtClaims&) {}), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.issuer = std::nullopt; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.issuer = "https://idp/"; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.issuer = "HTTPS://IDP"; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.audiences = {}; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.audiences = {"gateway2", "gate"}; }), "");
}

TEST(IdentifyJwt, ChecksTimesWithLeeway) {
  EXPECT_NE(fault([](JwtClaims& c) { c.expires = std::nullopt; }), "");
  EXPECT_EQ(fault([](JwtClaims& c) { c.expires = kNow - 29; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.expires = kNow - 30; }), "");
  EXPECT_EQ(fault([](JwtClaims& c) { c.not_before = kNow + 30; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.not_before = kNow + 31; }), "");
  EXPECT_EQ(fault([](JwtClaims& c) { c.issued = kNow + 30; }), "");
  EXPECT_NE(fault([](JwtClaims& c) { c.issued = kNow + 31; }), "");
  for (const double odd : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_NE(fault([odd](JwtClaims& c) { c.expires = odd; }), "");
    EXPECT_NE(fault([odd](JwtClaims& c) { c.not_before = odd; }), "");
    EXPECT_NE(fault([odd](JwtClaims& c) { c.issued = odd; }), "");
  }
}

TEST(IdentifyJwt, NeedsNamesThatCanBeLogged) {
  EXPECT_NE(fault([](JwtClaims& c) { c.subject = std::nullopt; }), "");
  for (const std::string& bad : {std::string(), std::string("a\nb"), std::string("a\x7f"), std::string(257, 'a'), std::string("a\0b", 3)}) {
    EXPECT_NE(fault([&](JwtClaims& c) { c.subject = bad; }), "");
    EXPECT_NE(fault([&](JwtClaims& c) { c.tenant = bad; }), "");
  }
}

TEST(IdentifyJwt, TakesNoMoreRolesThanItCanUse) {
  JwtRules open = rules();
  open.allowed_roles = {};
  JwtClaims token = claims();
  for (int i = 0; i < 1000; ++i) token.roles.push_back("role" + std::to_string(i));
  EXPECT_EQ(identify_jwt(token, open, kNow)->roles.size(), 64U);
}

}  // namespace
}  // namespace flexpert::auth
