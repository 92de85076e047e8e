#include <gtest/gtest.h>

#include <map>

#include "base/base64url.h"
#include "conformance/wycheproof_vectors.h"
#include "crypto/hmac_key.h"
#include "crypto/jwk_set.h"

namespace flexpert::conformance {
namespace {

crypto::JwsAlgorithms all_algorithms() {
  crypto::JwsAlgorithms all;
  for (unsigned i = 0; i <= static_cast<unsigned>(crypto::JwsAlgorithm::kEs512); ++i) all.add(static_cast<crypto::JwsAlgorithm>(i));
  return all;
}

/// Tells whether our code, with the key of the case, takes the token.
bool accepts(const WycheproofCase& test) {
  const auto keys = crypto::JwkSet::parse(test.keys, {.symmetric = true});
  if (!keys) return false;
  const auto jws = crypto::read_jws(test.jws);
  return jws && keys->verify(*jws, all_algorithms()).has_value();
}

/// Cases of json_web_signature_test whose `result` no verifier can or may follow, with the reason.
const std::map<int, std::string> kDisputed = {
    {367, "says invalid of the very bytes that case 357 calls valid (C2SP/wycheproof issue 236)"},
    {370, "says invalid of the very bytes that case 357 calls valid (C2SP/wycheproof issue 236)"},
    {372, "says valid of a '?' in the header, and of a tag that is not that of the bytes received; RFC 7515, 5.2 refuses it"},
    {373, "says valid of a '?' in the payload, and of a tag that is not that of the bytes received; RFC 7515, 5.2 refuses it"},
};

TEST(Wycheproof, EveryHmacSha256CaseIsAsItSays) {
  std::size_t count = 0;
  for (const auto& test : wycheproof_cases("hmac_sha256_test")) {
    const crypto::Digest digest = crypto::HmacKey(test.key).sign(test.message);
    const std::string tag(digest.begin(), digest.begin() + static_cast<std::ptrdiff_t>(test.tag.size()));
    EXPECT_EQ(crypto::equal_in_constant_time(tag, test.tag), test.valid) << test.id << " " << test.comment;
    if (test.tag.size() == digest.size()) {
      crypto::Digest whole{};
      std::copy(test.tag.begin(), test.tag.end(), whole.begin());
      EXPECT_EQ(crypto::HmacKey(test.key).verify(test.message, whole), test.valid) << test.id << " " << test.comment;
    }
    ++count;
  }
  EXPECT_EQ(count, 174U);
}

TEST(Wycheproof, EveryJsonWebSignatureCaseIsAsItSays) {
  std::size_t disputed = 0;
  const auto cases = wycheproof_cases("json_web_signature_test");
  for (const auto& test : cases) {
    if (kDisputed.contains(test.id)) {
      ++disputed;
      continue;
    }
    EXPECT_EQ(accepts(test), test.valid) << test.id << " " << test.comment;
  }
  EXPECT_EQ(cases.size(), 401U);
  EXPECT_EQ(disputed, 4U);
}

TEST(Wycheproof, DisputedCasesContradictThemselves) {
  std::map<int, WycheproofCase> by_id;
  for (auto& test : wycheproof_cases("json_web_signature_test")) by_id[test.id] = test;
  for (const int id : {367, 370}) {
    EXPECT_EQ(by_id[id].jws, by_id[357].jws);
    EXPECT_EQ(by_id[id].keys, by_id[357].keys);
    EXPECT_TRUE(by_id[357].valid && !by_id[id].valid);
    EXPECT_TRUE(accepts(by_id[id]));
  }
  for (const int id : {372, 373}) {
    const std::string& jws = by_id[id].jws;
    const std::string signed_part = jws.substr(0, jws.rfind('.'));
    const crypto::Digest digest = crypto::HmacKey(std::string(32, '\0')).sign(signed_part);
    EXPECT_NE(to_base64url({reinterpret_cast<const char*>(digest.data()), digest.size()}), jws.substr(jws.rfind('.') + 1));
    EXPECT_NE(jws.find('?'), std::string::npos);
    EXPECT_FALSE(accepts(by_id[id]));
  }
}

TEST(Wycheproof, EveryJsonWebKeyCaseIsAsItSays) {
  const auto cases = wycheproof_cases("json_web_key_test");
  for (const auto& test : cases) EXPECT_EQ(accepts(test), test.valid) << test.id << " " << test.comment;
  EXPECT_EQ(cases.size(), 26U);
}

// The suite's encrypted tokens are refused whatever they hold: we take no JWE.
TEST(Wycheproof, EveryJsonWebCryptoCaseOfSignaturesIsAsItSays) {
  const auto cases = wycheproof_cases("json_web_crypto_test");
  for (const auto& test : cases) EXPECT_EQ(accepts(test), test.valid && !test.encrypted) << test.id << " " << test.comment;
  EXPECT_EQ(cases.size(), 83U);
}

}  // namespace
}  // namespace flexpert::conformance
