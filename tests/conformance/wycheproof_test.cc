#include <gtest/gtest.h>

#include <map>

#include "base/base64url.h"
#include "conformance/wycheproof_cases.h"
#include "crypto/hmac_key.h"

namespace flexpert::conformance {
namespace {

std::vector<WycheproofCase> cases_of(const std::string& suite) {
  auto cases = read_wycheproof_cases(FLEXPERT_SOURCE_DIR "/data/conformance/wycheproof", suite);
  EXPECT_TRUE(cases) << cases.error().message;
  return cases ? *std::move(cases) : std::vector<WycheproofCase>();
}

TEST(Wycheproof, EveryHmacSha256CaseIsAsItSays) {
  const auto cases = cases_of("hmac_sha256_test");
  for (const auto& test : cases) EXPECT_EQ(takes_tag(test), test.valid) << test.id << " " << test.comment;
  EXPECT_EQ(cases.size(), 174U);
}

TEST(Wycheproof, EveryJsonWebSignatureCaseIsAsItSays) {
  const auto cases = cases_of("json_web_signature_test");
  for (const auto& test : cases) {
    if (disputed_signatures().contains(test.id)) continue;
    EXPECT_EQ(takes_token(test), to_be_taken(test)) << test.id << " " << test.comment;
  }
  EXPECT_EQ(cases.size(), 401U);
  EXPECT_EQ(disputed_signatures().size(), 4U);
}

TEST(Wycheproof, DisputedCasesContradictThemselves) {
  std::map<int, WycheproofCase> by_id;
  for (auto& test : cases_of("json_web_signature_test")) by_id[test.id] = test;
  for (const int id : {367, 370}) {
    EXPECT_EQ(by_id[id].jws, by_id[357].jws);
    EXPECT_EQ(by_id[id].keys, by_id[357].keys);
    EXPECT_TRUE(by_id[357].valid && !by_id[id].valid);
    EXPECT_TRUE(takes_token(by_id[id]));
  }
  for (const int id : {372, 373}) {
    const std::string& jws = by_id[id].jws;
    const std::string signed_part = jws.substr(0, jws.rfind('.'));
    const crypto::Digest digest = crypto::HmacKey(std::string(32, '\0')).sign(signed_part);
    EXPECT_NE(to_base64url({reinterpret_cast<const char*>(digest.data()), digest.size()}), jws.substr(jws.rfind('.') + 1));
    EXPECT_NE(jws.find('?'), std::string::npos);
    EXPECT_FALSE(takes_token(by_id[id]));
  }
}

TEST(Wycheproof, EveryJsonWebKeyCaseIsAsItSays) {
  const auto cases = cases_of("json_web_key_test");
  for (const auto& test : cases) EXPECT_EQ(takes_token(test), to_be_taken(test)) << test.id << " " << test.comment;
  EXPECT_EQ(cases.size(), 26U);
}

TEST(Wycheproof, EveryJsonWebCryptoCaseOfSignaturesIsAsItSays) {
  const auto cases = cases_of("json_web_crypto_test");
  for (const auto& test : cases) EXPECT_EQ(takes_token(test), to_be_taken(test)) << test.id << " " << test.comment;
  EXPECT_EQ(cases.size(), 83U);
}

TEST(Wycheproof, AMissingSuiteIsNoEmptyOne) { EXPECT_FALSE(read_wycheproof_cases("/nowhere", "hmac_sha256_test")); }

}  // namespace
}  // namespace flexpert::conformance
