#include "crypto/jwk_set.h"

#include <gtest/gtest.h>

#include "crypto/tests/jws_signing.h"

namespace flexpert::crypto {
namespace {

const std::string kSecret(32, 's');

JwsAlgorithms algorithms(std::initializer_list<JwsAlgorithm> list) {
  JwsAlgorithms set;
  for (const JwsAlgorithm each : list) set.add(each);
  return set;
}

std::string keys(std::initializer_list<std::string> jwks) { return fmt::format("{{\"keys\":[{}]}}", fmt::join(jwks, ",")); }

/// "" if the token is good, else the code of the refusal.
std::string verdict(const std::string& set_text, const std::string& token, JwsAlgorithms allowed) {
  const auto set = JwkSet::parse(set_text, {.symmetric = true});
  if (!set) return "set: " + set.error().message;
  const auto jws = read_jws(token);
  if (!jws) return "token: " + jws.error().message;
  const auto payload = set->verify(*jws, allowed);
  if (!payload) return name_of(payload.error().code);
  return *payload == jws->payload ? "" : "payload differs";
}

class SignedToken : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { rsa = new SigningKey(SigningKey::rsa(2048)); }
  static void TearDownTestSuite() { delete std::exchange(rsa, nullptr); }
  static SigningKey* rsa;
};
SigningKey* SignedToken::rsa = nullptr;

TEST_F(SignedToken, OfEveryRsaAlgorithmIsVerified) {
  for (const char* alg : {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) {
    const std::string token = rsa->sign(alg, "k1", "{\"sub\":\"me\"}");
    const JwsAlgorithms allowed = algorithms({*jws_algorithm(alg)});
    EXPECT_EQ(verdict(keys({rsa->jwk(",\"kid\":\"k1\"")}), token, allowed), "") << alg;
    EXPECT_EQ(verdict(keys({rsa->jwk(fmt::format(",\"kid\":\"k1\",\"alg\":\"{}\"", alg))}), token, allowed), "") << alg;
    std::string changed = token;
    changed[changed.find('.') + 3] ^= 1;
    EXPECT_NE(verdict(keys({rsa->jwk(",\"kid\":\"k1\"")}), changed, allowed), "") << alg;
  }
}

TEST_F(SignedToken, OfEveryCurveIsVerifiedWithItsOwnAlgorithmOnly) {
  const std::pair<const char*, cjose_jwk_ec_curve> curves[] = {
      {"ES256", CJOSE_JWK_EC_P_256}, {"ES384", CJOSE_JWK_EC_P_384}, {"ES512", CJOSE_JWK_EC_P_521}};
  const JwsAlgorithms all = algorithms({JwsAlgorithm::kEs256, JwsAlgorithm::kEs384, JwsAlgorithm::kEs512});
  for (const auto& [alg, curve] : curves) {
    const SigningKey key = SigningKey::ec(curve);
    for (const auto& [other, unused] : curves) {
      const std::string token = key.sign(other, nullptr, "{}");
      EXPECT_EQ(verdict(keys({key.jwk()}), token, all).empty(), std::string(alg) == other) << alg << " " << other;
    }
  }
}

TEST_F(SignedToken, IsRefusedUnlessIssuerAndKeyAgreeOnItsAlgorithm) {
  const std::string token = rsa->sign("RS256", "k1", "{}");
  const JwsAlgorithms rs256 = algorithms({JwsAlgorithm::kRs256});
  EXPECT_EQ(verdict(keys({rsa->jwk(",\"kid\":\"k1\"")}), token, algorithms({JwsAlgorithm::kPs256, JwsAlgorithm::kEs256})),
            "unauthenticated");
  EXPECT_EQ(verdict(keys({rsa->jwk(",\"kid\":\"k1\"")}), token, {}), "unauthenticated");
  EXPECT_EQ(verdict(keys({rsa->jwk(",\"kid\":\"k1\",\"alg\":\"PS256\"")}), token, rs256), "unauthenticated");
  EXPECT_EQ(verdict(keys({rsa->jwk(",\"kid\":\"k1\",\"alg\":\"RS512\"")}), token, rs256), "unauthenticated") << "weaker than its key's";
}

TEST_F(SignedToken, WithAPublicKeyAsHmacSecretIsRefused) {
  const std::string jwk = rsa->jwk(",\"kid\":\"k1\"");
  const std::string forged = hs256_token(jwk, R"({"alg":"HS256","kid":"k1"})", "{}");
  EXPECT_EQ(verdict(keys({jwk}), forged, algorithms({JwsAlgorithm::kRs256, JwsAlgorithm::kHs256})), "unauthenticated");
}

TEST_F(SignedToken, GoesToTheKeyThatItsKidNames) {
  const SigningKey a = SigningKey::ec(CJOSE_JWK_EC_P_256);
  const SigningKey b = SigningKey::ec(CJOSE_JWK_EC_P_256);
  const std::string both = keys({a.jwk(",\"kid\":\"a\""), b.jwk(",\"kid\":\"b\"")});
  const JwsAlgorithms es256 = algorithms({JwsAlgorithm::kEs256});
  EXPECT_EQ(verdict(both, a.sign("ES256", "a", "{}"), es256), "");
  EXPECT_EQ(verdict(both, b.sign("ES256", "b", "{}"), es256), "");
  EXPECT_EQ(verdict(both, a.sign("ES256", "b", "{}"), es256), "unauthenticated");
  EXPECT_EQ(verdict(both, a.sign("ES256", "c", "{}"), es256), "not_found");
  EXPECT_EQ(verdict(both, a.sign("ES256", nullptr, "{}"), es256), "unauthenticated") << "two keys could be meant";
  EXPECT_EQ(verdict(keys({a.jwk(",\"kid\":\"a\""), rsa->jwk(",\"kid\":\"r\"")}), a.sign("ES256", nullptr, "{}"), es256), "");
  EXPECT_EQ(verdict(keys({a.jwk()}), a.sign("ES256", "a", "{}"), es256), "not_found") << "a key without a kid is not the one named";
}

TEST_F(SignedToken, WithASignatureOfAnotherLengthIsRefused) {
  const std::string token = hs256_token(kSecret, R"({"alg":"HS256"})", "{}");
  const JwsAlgorithms hs256 = algorithms({JwsAlgorithm::kHs256});
  const std::string set = keys({hs256_jwk(kSecret)});
  EXPECT_EQ(verdict(set, token, hs256), "");
  const std::size_t dot = token.rfind('.') + 1;
  EXPECT_EQ(verdict(set, token.substr(0, dot), hs256), "unauthenticated");
  EXPECT_EQ(verdict(set, token.substr(0, dot + 4), hs256), "unauthenticated");
  EXPECT_EQ(verdict(set, token.substr(0, dot + 40), hs256), "unauthenticated");
}

TEST(JwkSet, LeavesOutKeysThatItCannotUseAndSaysWhy) {
  const SigningKey good = SigningKey::ec(CJOSE_JWK_EC_P_256);
  const SigningKey weak = SigningKey::rsa(1024);
  const auto set = JwkSet::parse(keys({good.jwk(), R"({"kty":"OKP","crv":"Ed25519","x":"AA"})", good.jwk(",\"use\":\"enc\""),
                                       weak.jwk(), R"("text")", good.jwk("", true), good.jwk(",\"key_ops\":[\"sign\"]"),
                                       good.jwk(",\"alg\":\"ES384\""), R"({"kty":"RSA"})", R"({"kty":"EC","crv":"P-256","x":1})"}));
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->size(), 1U);
  ASSERT_EQ(set->ignored().size(), 9U);
  EXPECT_EQ(set->ignored()[0], "key 2: kty is none of RSA, EC and oct");
  EXPECT_EQ(set->ignored()[2], "key 4: RSA key of 1024 bits; at least 2048 are needed");
  EXPECT_NE(set->ignored()[4].find("private key"), std::string::npos);
}

TEST(JwkSet, RefusesSetsWithoutAUsableKey) {
  for (const char* text : {"", "{}", "[]", "null", R"({"keys":[]})", R"({"keys":{}})", R"({"keys":[{}]})", R"({"keys":[],"keys":[]})",
                           R"({"keys":[)", R"({"keys":[1,null,[]]})"})
    EXPECT_FALSE(JwkSet::parse(text)) << text;
  EXPECT_FALSE(JwkSet::parse(std::string((1 << 20) + 1, ' ')));
  std::string many = R"({"keys":[{})";
  for (int i = 0; i < 256; ++i) many += ",{}";
  EXPECT_FALSE(JwkSet::parse(many + "]}"));
}

TEST(JwkSet, TakesSymmetricKeysOnlyWhereAllowedAndAlone) {
  const SigningKey ec = SigningKey::ec(CJOSE_JWK_EC_P_256);
  EXPECT_FALSE(JwkSet::parse(keys({hs256_jwk(kSecret)})));
  EXPECT_TRUE(JwkSet::parse(keys({hs256_jwk(kSecret)}), {.symmetric = true}));
  EXPECT_FALSE(JwkSet::parse(keys({hs256_jwk(kSecret), ec.jwk()}), {.symmetric = true}));
  EXPECT_FALSE(JwkSet::parse(keys({hs256_jwk(kSecret), ec.jwk()})));
  EXPECT_FALSE(JwkSet::parse(keys({hs256_jwk(std::string(31, 's'))}), {.symmetric = true}));
}

TEST(JwkSet, RefusesAKidThatTwoKeysHave) {
  const SigningKey a = SigningKey::ec(CJOSE_JWK_EC_P_256);
  const SigningKey b = SigningKey::ec(CJOSE_JWK_EC_P_384);
  EXPECT_FALSE(JwkSet::parse(keys({a.jwk(",\"kid\":\"k\""), b.jwk(",\"kid\":\"k\"")})));
  EXPECT_TRUE(JwkSet::parse(keys({a.jwk(",\"kid\":\"k\""), b.jwk(",\"kid\":\"k\",\"use\":\"enc\"")}))) << "one of them only encrypts";
}

}  // namespace
}  // namespace flexpert::crypto
