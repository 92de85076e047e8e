#include "gateway/authenticator.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "gateway/tests/authenticator_world.h"

namespace flexpert::gateway {
namespace {

using KeyAuthentication = AuthenticatorWorld;

TEST_F(KeyAuthentication, NamesTheCallerOfAKey) {
  const std::string key = add_key("key_a", "acme", {"user"});
  ASSERT_TRUE(start());
  const CallerPtr found = caller(Head().bearer(key));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->identity.credential, auth::Credential::kApiKey);
  EXPECT_EQ(found->identity.id, "key_a");
  EXPECT_EQ(found->identity.tenant, "acme");
  EXPECT_NE(found->grant->model("m"), nullptr);
  EXPECT_EQ(found->grant->model("other"), nullptr);
  EXPECT_EQ(caller(Head().bearer(key)), found) << "made once";
  EXPECT_EQ(caller(Head().field("X-API-Key", key)), found);
  EXPECT_EQ(caller(Head().field("authorization", "bEARER " + key)), found);
  EXPECT_EQ(caller(Head().bearer(key).field("x-api-key", key)), found);
}

TEST_F(KeyAuthentication, RefusesEveryKeyThatDoesNotHoldWithTheSameWords) {
  const std::string revoked = add_key("key_r", "acme", {"user"});
  const std::string expired = add_key("key_e", "acme", {"user"});
  records[0].revoked_unix_ms = 1;
  records[1].expires_unix_ms = clock.unix_ms();
  ASSERT_TRUE(start());
  const std::string unknown = "fx-" + std::string(43, 'A');
  const std::string said = std::get<Refusal>(ask(Head().bearer(unknown))).message;
  for (const std::string& bad : {revoked, expired, unknown, std::string("fx-"), std::string("fx-short"), unknown + "A"}) {
    const AuthResult result = ask(Head().bearer(bad));
    ASSERT_TRUE(std::holds_alternative<Refusal>(result)) << bad;
    EXPECT_EQ(std::get<Refusal>(result).status, 401);
    EXPECT_EQ(std::get<Refusal>(result).code, "invalid_api_key");
    EXPECT_EQ(std::get<Refusal>(result).message, said);
    EXPECT_EQ(std::get<Refusal>(result).authenticate, "Bearer error=\"invalid_token\"");
  }
}

TEST_F(KeyAuthentication, OfARevokedKeyEndsWithTheReload) {
  const std::string key = add_key("key_a", "acme", {"user"});
  ASSERT_TRUE(start());
  const CallerPtr before = caller(Head().bearer(key));
  ASSERT_NE(before, nullptr);
  records[0].revoked_unix_ms = 1;
  authenticator->apply(snapshot());
  EXPECT_EQ(refusal(Head().bearer(key)), "401 invalid_api_key");
  EXPECT_EQ(before->identity.id, "key_a") << "who is being served keeps what it has";
}

TEST_F(KeyAuthentication, FollowsThePolicyOfTheReload) {
  const std::string key = add_key("key_a", "acme", {"user"});
  ASSERT_TRUE(start());
  EXPECT_EQ(caller(Head().bearer(key))->grant->model("n"), nullptr);
  rules.roles[0].models = {"n"};
  authenticator->apply(snapshot());
  EXPECT_NE(caller(Head().bearer(key))->grant->model("n"), nullptr);
  EXPECT_EQ(caller(Head().bearer(key))->grant->model("m"), nullptr);
}

TEST_F(KeyAuthentication, OfNobodyIsRefusedUnlessThePolicyLetsNobodyIn) {
  ASSERT_TRUE(start());
  EXPECT_EQ(refusal(Head()), "401 missing_api_key");
  for (const char* shown : {"", "Basic YTpi", "Bearer ", "Bearer", "Digest username=x"}) {
    const AuthResult result = ask(Head().field("Authorization", shown));
    ASSERT_TRUE(std::holds_alternative<Refusal>(result));
    EXPECT_EQ(std::get<Refusal>(result).status, 401);
    EXPECT_EQ(std::get<Refusal>(result).authenticate, "Bearer");
  }
  rules.anonymous = true;
  authenticator->apply(snapshot());
  const CallerPtr nobody = caller(Head());
  ASSERT_NE(nobody, nullptr);
  EXPECT_EQ(nobody->identity.tenant, "anonymous");
  EXPECT_EQ(nobody->grant->admin, 0);
  EXPECT_EQ(caller(Head().bearer("sk-of-some-other-service")), nobody) << "what has no form of ours is nothing shown";
}

TEST_F(KeyAuthentication, NeverTakesABadKeyForNobody) {
  rules.anonymous = true;
  ASSERT_TRUE(start());
  EXPECT_EQ(refusal(Head().bearer("fx-" + std::string(43, 'A'))), "401 invalid_api_key");
  EXPECT_EQ(refusal(Head().field("x-api-key", "fx-" + std::string(43, 'A'))), "401 invalid_api_key");
}

TEST_F(KeyAuthentication, RefusesMoreThanOneCredential) {
  const std::string a = add_key("key_a", "acme", {"user"});
  const std::string b = add_key("key_b", "acme", {"admin"});
  ASSERT_TRUE(start());
  EXPECT_EQ(refusal(Head().bearer(a).bearer(a)), "400 several_credentials");
  EXPECT_EQ(refusal(Head().bearer(a).bearer(b)), "400 several_credentials");
  EXPECT_EQ(refusal(Head().field("x-api-key", a).field("x-api-key", b)), "400 several_credentials");
  EXPECT_EQ(refusal(Head().bearer(a).field("x-api-key", b)), "400 several_credentials");
}

TEST_F(KeyAuthentication, BelievesNoOtherFieldAboutWhoAsks) {
  const std::string key = add_key("key_a", "acme", {"user"});
  ASSERT_TRUE(start());
  Head head;
  head.bearer(key).field("X-Tenant", "root").field("X-Flexpert-Grant", "x").field("X-User-Role", "admin").field("Cookie", "key=" + key);
  const CallerPtr found = caller(head);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->identity.tenant, "acme");
  EXPECT_EQ(found->identity.roles, std::vector<std::string>({"user"}));
  EXPECT_EQ(refusal(Head().field("Cookie", "key=" + key)), "401 missing_api_key");
  EXPECT_EQ(refusal(Head("/v1/models?api_key=" + key)), "401 missing_api_key");
}

class TokenAuthentication : public AuthenticatorWorld {
 protected:
  TokenAuthentication() {
    tokens = {{.name = "PREMIUM", .sha256_hex = crypto::sha256_hex(std::string_view("secret")), .groups = {"C"}}};
    rules.groups = {{.name = "C", .model = "m", .level = auth::SecurityLevel::kHigh, .cost = 1, .slots = {{0, 1}}}};
    rules.roles.push_back({.name = config::token_role("PREMIUM"), .models = {}, .expert_groups = {"C"}, .denied_expert_groups = {},
                           .admin = 0});
  }
};

TEST_F(TokenAuthentication, OpensGroupsOnRouteOnTopOfWhoAsks) {
  const std::string key = add_key("key_a", "acme", {"user"});
  ASSERT_TRUE(start());
  EXPECT_TRUE(caller(Head().bearer(key))->grant->model("m")->restricted());
  const CallerPtr both = caller(Head("/route").bearer(key).field("X-Expert-Access-Token", "secret"));
  ASSERT_NE(both, nullptr);
  EXPECT_FALSE(both->grant->model("m")->restricted());
  EXPECT_EQ(both->identity.tenant, "acme");
  EXPECT_TRUE(caller(Head("/route").bearer(key).field("X-Expert-Access-Token", "wrong"))->grant->model("m")->restricted());
  EXPECT_TRUE(caller(Head("/v1/models").bearer(key).field("X-Expert-Access-Token", "secret"))->grant->model("m")->restricted())
      << "only for /route";
  EXPECT_EQ(refusal(Head("/route").bearer("fx-" + std::string(43, 'A')).field("X-Expert-Access-Token", "secret")), "401 invalid_api_key");
  EXPECT_EQ(refusal(Head("/route").field("X-Expert-Access-Token", "secret").field("X-Expert-Access-Token", "x")),
            "400 several_credentials");
}

TEST_F(TokenAuthentication, AloneIsSomebody) {
  ASSERT_TRUE(start());
  const CallerPtr alone = caller(Head("/route").field("x-expert-access-token", "secret"));
  ASSERT_NE(alone, nullptr);
  EXPECT_EQ(alone->identity.credential, auth::Credential::kAccessToken);
  EXPECT_EQ(alone->identity.id, "PREMIUM");
  EXPECT_EQ(alone->identity.tenant, "PREMIUM");
  EXPECT_EQ(refusal(Head("/route").field("x-expert-access-token", "wrong")), "401 missing_api_key");
  rules.anonymous = true;
  authenticator->apply(snapshot());
  EXPECT_EQ(caller(Head("/route").field("x-expert-access-token", "secret"))->identity.tenant, "anonymous");
  EXPECT_FALSE(caller(Head("/route").field("x-expert-access-token", "secret"))->grant->model("m")->restricted());
  EXPECT_TRUE(caller(Head("/route"))->grant->model("m")->restricted());
}

}  // namespace
}  // namespace flexpert::gateway
