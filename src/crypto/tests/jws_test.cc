#include "crypto/jws.h"

#include <gtest/gtest.h>

#include <vector>

#include "crypto/hmac_key.h"
#include "crypto/tests/jws_signing.h"

namespace flexpert::crypto {
namespace {

const std::string kSecret(32, 's');

std::string refusal(const std::string& token) {
  const auto jws = read_jws(token);
  return jws ? "" : jws.error().message;
}

std::string header_refusal(const std::string& header) { return refusal(hs256_token(kSecret, header, "{}")); }

TEST(ReadJws, TakesATokenApart) {
  const std::string token =
      hs256_token(kSecret, R"({"alg":"HS256","kid":"a","typ":"application/AT+JWT","jku":"http://evil","x5c":[1]})", "{\"a\":1}");
  const auto jws = read_jws(token);
  ASSERT_TRUE(jws) << jws.error().message;
  EXPECT_EQ(jws->algorithm, JwsAlgorithm::kHs256);
  EXPECT_EQ(jws->kid, "a");
  EXPECT_EQ(jws->typ, "at+jwt");
  EXPECT_EQ(jws->payload, "{\"a\":1}");
  EXPECT_EQ(jws->signature.size(), 32U);
}

TEST(ReadJws, RefusesWhatIsNotThreePartsOfBase64url) {
  const std::string good = hs256_token(kSecret, R"({"alg":"HS256"})", "{}");
  EXPECT_EQ(refusal(good), "");
  const std::string unsigned_part = good.substr(0, good.rfind('.'));
  for (const std::string& bad : std::vector<std::string>{"", ".", "..", "a.b", good + ".", good + ".AAAA", "." + good, good + "=",
                                                         " " + good, good + "\n", unsigned_part})
    EXPECT_NE(refusal(bad), "") << bad;
}

TEST(ReadJws, RefusesAlgorithmsThatItDoesNotVerify) {
  for (const char* alg : {"none", "None", "NONE", "", "hs256", "HS256 ", "EdDSA", "ES256K", "RSA-OAEP", "HS1"})
    EXPECT_NE(header_refusal(std::string("{\"alg\":\"") + alg + "\"}"), "") << alg;
  for (const char* header : {"{}", R"({"alg":1})", R"({"alg":null})", R"({"alg":["HS256"]})", R"({"ALG":"HS256"})"})
    EXPECT_NE(header_refusal(header), "") << header;
}

TEST(ReadJws, RefusesHeadersThatItWouldHaveToUnderstand) {
  EXPECT_NE(header_refusal(R"({"alg":"HS256","crit":["exp"],"exp":1})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","crit":[]})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","b64":false})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","b64":true})"), "");
}

TEST(ReadJws, RefusesHeadersThatTwoReadersCouldReadDifferently) {
  EXPECT_NE(header_refusal(R"({"alg":"HS256","alg":"HS256"})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"none","alg":"HS256"})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","\u0061lg":"none"})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","kid":{"a":1,"a":2}})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256"}{})"), "");
  EXPECT_NE(header_refusal(R"({"alg":"HS256","kid":"\u0000"})"), "");
  EXPECT_NE(header_refusal("{\"alg\":\"HS256\",\"kid\":\"\xff\"}"), "");
  EXPECT_NE(header_refusal(R"(["HS256"])"), "");
}

TEST(ReadJws, RefusesKidsAndTypesThatAreNoText) {
  for (const char* header : {R"({"alg":"HS256","kid":1})", R"({"alg":"HS256","kid":null})", R"({"alg":"HS256","kid":["a"]})",
                             R"({"alg":"HS256","typ":7})"})
    EXPECT_NE(header_refusal(header), "") << header;
  EXPECT_NE(header_refusal("{\"alg\":\"HS256\",\"kid\":\"" + std::string(257, 'k') + "\"}"), "");
}

TEST(ReadJws, RefusesTokensThatAreTooLong) {
  const std::string header = R"({"alg":"HS256"})";
  EXPECT_EQ(refusal(hs256_token(kSecret, header, std::string(12'000, ' '))), "");
  EXPECT_NE(refusal(hs256_token(kSecret, header, std::string(13'000, ' '))), "");
  EXPECT_NE(header_refusal("{\"alg\":\"HS256\",\"x\":\"" + std::string(4'000, 'x') + "\"}"), "");
  EXPECT_NE(header_refusal(std::string(2000, '[')), "");
}

}  // namespace
}  // namespace flexpert::crypto
