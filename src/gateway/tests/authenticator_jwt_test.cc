#include <gtest/gtest.h>

#include "gateway/tests/authenticator_world.h"

namespace flexpert::gateway {
namespace {

class JwtAuthentication : public AuthenticatorWorld {
 protected:
  JwtAuthentication() { key_server_answer = key_set({first.jwk(",\"kid\":\"1\"")}); }
  void start_with(std::initializer_list<config::JwtIssuerConfig> configs) {
    issuers = configs;
    const auto started = start();
    ASSERT_TRUE(started) << started.error().message;
  }
  std::string token(const std::string& more = "") const { return first.sign("ES256", "1", claims(more)); }

  crypto::SigningKey first = crypto::SigningKey::ec(CJOSE_JWK_EC_P_256);
  crypto::SigningKey second = crypto::SigningKey::ec(CJOSE_JWK_EC_P_256);
};

TEST_F(JwtAuthentication, NamesTheCallerOnceTheKeysAreThere) {
  start_with({issuer()});
  const std::string text = token(R"(,"tenant":"acme","roles":["user","nosuch"])");
  const CallerPtr found = caller(Head().bearer(text));
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(waited) << "the first fetch was under way";
  EXPECT_EQ(found->identity.credential, auth::Credential::kJwt);
  EXPECT_EQ(found->identity.id, "alice");
  EXPECT_EQ(found->grant->tenant.name, "acme");
  EXPECT_NE(found->grant->model("m"), nullptr);
  EXPECT_EQ(caller(Head().bearer(text)), found) << "known by its digest";
  EXPECT_FALSE(waited);
  EXPECT_EQ(fetches, 1);
}

TEST_F(JwtAuthentication, RefusesTokensThatDoNotHoldWithTheSameWords) {
  start_with({issuer()});
  ASSERT_EQ(refusal(Head().bearer(token())), "served");
  const std::string expired = first.sign("ES256", "1", R"({"iss":"https://idp","aud":"gateway","sub":"a","exp":1})");
  const std::string foreign = first.sign("ES256", "1", R"({"iss":"https://evil","aud":"gateway","sub":"a","exp":9999999999})");
  const std::string elsewhere = first.sign("ES256", "1", R"({"iss":"https://idp","aud":"shop","sub":"a","exp":9999999999})");
  const std::string forged = second.sign("ES256", "1", claims());
  const std::string hmac = crypto::hs256_token(first.jwk(), R"({"alg":"HS256","kid":"1"})", claims());
  const std::string none = crypto::b64(R"({"alg":"none"})") + "." + crypto::b64(claims()) + ".";
  const std::string odd = first.sign("ES256", "1", R"({"iss":["https://idp"],"aud":{},"sub":7,"exp":"x"})");
  const std::string said = std::get<Refusal>(ask(Head().bearer(expired))).message;
  for (const std::string& bad : std::vector<std::string>{expired, foreign, elsewhere, forged, hmac, none, odd, forged, "ey..", "ey.ey.ey"}) {
    const AuthResult result = ask(Head().bearer(bad));
    ASSERT_TRUE(std::holds_alternative<Refusal>(result)) << bad;
    EXPECT_EQ(std::get<Refusal>(result).status, 401);
    EXPECT_EQ(std::get<Refusal>(result).code, "invalid_token");
    EXPECT_EQ(std::get<Refusal>(result).message, said);
  }
  EXPECT_EQ(fetches, 1);
}

TEST_F(JwtAuthentication, NeverTakesABadTokenForNobody) {
  rules.anonymous = true;
  start_with({issuer()});
  EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", "1", claims()))), "401 invalid_token");
  EXPECT_EQ(refusal(Head().bearer(crypto::b64(R"({"alg":"none"})") + ".e30.")), "401 invalid_token");
}

TEST_F(JwtAuthentication, TakesTokensOfTheAllowedTypesOnly) {
  issuers = {issuer()};
  issuers[0].jwks_url.clear();
  issuers[0].jwks_file = (folder / "keys.json").string();
  issuers[0].algorithms = {"HS256"};
  const std::string secret(32, 's');
  write_file("keys.json", crypto::hs256_jwk(secret));
  ASSERT_TRUE(start());
  const auto typed = [&](const std::string& typ) {
    return refusal(Head().bearer(crypto::hs256_token(secret, "{\"alg\":\"HS256\"" + typ + "}", claims())));
  };
  EXPECT_EQ(typed(""), "served");
  EXPECT_EQ(typed(R"(,"typ":"JWT")"), "served");
  EXPECT_EQ(typed(R"(,"typ":"at+jwt")"), "served");
  for (const char* typ : {"logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE"})
    EXPECT_EQ(typed(fmt::format(",\"typ\":\"{}\"", typ)), "401 invalid_token") << typ;
}

TEST_F(JwtAuthentication, FetchesAnUnknownKeyOnceAndAllWhoNeedItWait) {
  start_with({issuer()});
  ASSERT_EQ(refusal(Head().bearer(token())), "served");
  clock.advance(Seconds(11));
  hold = true;
  const std::string newer = second.sign("ES256", "2", claims());
  std::vector<AuthResult> got;
  std::vector<std::unique_ptr<Authenticator::Pending>> pending;
  Head head;
  head.bearer(newer);
  for (int i = 0; i < 5; ++i) {
    auto verdict = authenticator->authenticate(head.view, [&](AuthResult result) { got.push_back(std::move(result)); });
    pending.push_back(std::move(std::get<std::unique_ptr<Authenticator::Pending>>(verdict)));
  }
  pending[3].reset();
  EXPECT_EQ(refusal(Head().bearer(token(",\"jti\":1"))), "served") << "known keys go on serving";
  ASSERT_TRUE(until([&] { return !held.empty(); }));
  held.front().respond(key_set({first.jwk(",\"kid\":\"1\""), second.jwk(",\"kid\":\"2\"")}));
  ASSERT_TRUE(until([&] { return got.size() == 4; }));
  for (const AuthResult& result : got) EXPECT_TRUE(std::holds_alternative<CallerPtr>(result));
  EXPECT_EQ(fetches, 2);
}

TEST_F(JwtAuthentication, AsksForUnknownKeysNoMoreOftenThanConfigured) {
  start_with({issuer()});
  ASSERT_EQ(refusal(Head().bearer(token())), "served");
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", fmt::format("x{}", i).c_str(), claims()))), "401 invalid_token");
  EXPECT_EQ(fetches, 1);
  clock.advance(Seconds(10));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", fmt::format("x{}", i).c_str(), claims()))), "401 invalid_token");
  EXPECT_EQ(fetches, 2);
}

TEST_F(JwtAuthentication, KeepsGoodKeysWhenTheNextSetIsNone) {
  start_with({issuer()});
  ASSERT_EQ(refusal(Head().bearer(token())), "served");
  http::Response elsewhere = http::json_response(302, "");
  elsewhere.headers.add("Location", url + "2");
  for (const http::Response& bad :
       {http::json_response(500, "{}"), http::json_response(200, "{}"), http::json_response(200, R"({"keys":[]})"),
        http::json_response(200, "<html>"), elsewhere, http::json_response(200, std::string((1 << 20) + 1, ' '))}) {
    key_server_answer = bad;
    clock.advance(Seconds(11));
    const int before = fetches;
    EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", "2", claims()))), "401 invalid_token");
    EXPECT_EQ(fetches, before + 1);
    EXPECT_EQ(refusal(Head().bearer(token(fmt::format(",\"n\":{}", fetches)))), "served");
  }
}

TEST_F(JwtAuthentication, ForgetsTokensWhoseKeyIsGone) {
  start_with({issuer()});
  const std::string old = token();
  ASSERT_EQ(refusal(Head().bearer(old)), "served");
  key_server_answer = key_set({second.jwk(",\"kid\":\"2\"")});
  clock.advance(Seconds(11));
  EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", "2", claims()))), "served");
  EXPECT_EQ(refusal(Head().bearer(old)), "401 invalid_token");
}

TEST_F(JwtAuthentication, ForgetsTokensThatAreOver) {
  start_with({issuer()});
  const std::string text = token();
  ASSERT_EQ(refusal(Head().bearer(text)), "served");
  clock.advance(Seconds(629));
  EXPECT_EQ(refusal(Head().bearer(text)), "served") << "within the leeway";
  clock.advance(Seconds(1));
  EXPECT_EQ(refusal(Head().bearer(text)), "401 invalid_token");
}

TEST_F(JwtAuthentication, SaysThatKeysAreNotThereWhenNoneEverWere) {
  key_server_answer = http::json_response(503, "{}");
  start_with({issuer()});
  EXPECT_EQ(refusal(Head().bearer(token())), "503 token_keys_unavailable");
  EXPECT_EQ(refusal(Head().bearer(token())), "503 token_keys_unavailable");
  EXPECT_EQ(fetches, 1);
  key_server_answer = key_set({first.jwk(",\"kid\":\"1\"")});
  clock.advance(Seconds(10));
  EXPECT_EQ(refusal(Head().bearer(token())), "served");
}

TEST_F(JwtAuthentication, ReadsAKeyFileAgainForAnUnknownKey) {
  issuers = {issuer()};
  issuers[0].jwks_url.clear();
  issuers[0].jwks_file = (folder / "keys.json").string();
  EXPECT_FALSE(start()) << "no such file";
  write_file("keys.json", "{\"keys\":[]}");
  EXPECT_FALSE(start()) << "no key in it";
  write_file("keys.json", first.jwk(",\"kid\":\"1\""));
  ASSERT_TRUE(start());
  EXPECT_EQ(refusal(Head().bearer(token())), "served");
  write_file("keys.json", fmt::format("{{\"keys\":[{},{}]}}", first.jwk(",\"kid\":\"1\""), second.jwk(",\"kid\":\"2\"")));
  const std::string newer = second.sign("ES256", "2", claims());
  EXPECT_EQ(refusal(Head().bearer(newer)), "401 invalid_token") << "too early";
  clock.advance(Seconds(10));
  EXPECT_EQ(refusal(Head().bearer(newer)), "served");
  EXPECT_FALSE(waited);
}

TEST_F(JwtAuthentication, FetchesAgainAfterTheConfiguredTime) {
  issuers = {issuer()};
  issuers[0].refresh_s = 0.02;
  ASSERT_TRUE(start());
  EXPECT_TRUE(until([&] { return fetches >= 3; }));
}

TEST_F(JwtAuthentication, TellsTheTokensOfTwoIssuersApart) {
  config::JwtIssuerConfig other = issuer();
  other.issuer = "https://other";
  other.jwks_url.clear();
  other.jwks_file = (folder / "other.json").string();
  write_file("other.json", second.jwk(",\"kid\":\"1\""));
  start_with({issuer(), other});
  EXPECT_EQ(refusal(Head().bearer(first.sign("ES256", "1", claims()))), "served");
  EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", "1", claims()))), "401 invalid_token") << "signed by the other issuer";
  EXPECT_EQ(refusal(Head().bearer(second.sign("ES256", "1", R"({"iss":"https://other","aud":"gateway","sub":"bob","exp":9999999999})"))),
            "served");
  issuers = {issuer(), issuer()};
  EXPECT_FALSE(start()) << "an issuer given twice";
}

TEST_F(JwtAuthentication, OutlivesAnAuthenticatorThatIsDestroyedWhileARequestWaits) {
  hold = true;
  start_with({issuer()});
  bool called = false;
  Head head;
  head.bearer(token());
  auto verdict = authenticator->authenticate(head.view, [&](AuthResult) { called = true; });
  ASSERT_TRUE(std::holds_alternative<std::unique_ptr<Authenticator::Pending>>(verdict));
  authenticator.reset();
  verdict = AuthResult(Refusal{});
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace flexpert::gateway
