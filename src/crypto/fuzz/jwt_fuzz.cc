// Any bytes as a token, as a key set, as claims, and as both of the first two, one behind the other with a line break between.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/base64url.h"
#include "crypto/hmac_key.h"
#include "crypto/jwk_set.h"
#include "crypto/jwt_payload.h"

namespace {

namespace crypto = flexpert::crypto;

crypto::JwsAlgorithms every_algorithm() {
  crypto::JwsAlgorithms all;
  for (unsigned i = 0; i <= static_cast<unsigned>(crypto::JwsAlgorithm::kEs512); ++i) all.add(static_cast<crypto::JwsAlgorithm>(i));
  return all;
}

void read_claims(std::string_view text) {
  const auto payload = crypto::JwtPayload::parse(text);
  if (!payload) return;
  for (const char* name : {"iss", "aud", "exp", "a.b", "roles"}) {
    (void)payload->text(name);
    (void)payload->number(name);
    (void)payload->texts(name);
  }
}

void verify(std::string_view token, const crypto::JwkSet& keys) {
  const auto jws = crypto::read_jws(token);
  if (!jws) return;
  const auto payload = keys.verify(*jws, every_algorithm());
  if (payload && *payload != jws->payload) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // RFC 7515, A.3: an ES256 key whose token is in the corpus.
  static const auto known = crypto::JwkSet::parse(
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})");
  if (!known) std::abort();
  if (const auto raw = flexpert::from_base64url(bytes); raw && flexpert::to_base64url(*raw) != bytes) std::abort();
  read_claims(bytes);
  verify(bytes, *known);
  const std::size_t line = bytes.find('\n');
  const auto keys = crypto::JwkSet::parse(bytes.substr(0, line), {.symmetric = true});
  if (keys && line != std::string_view::npos) verify(bytes.substr(line + 1), *keys);
  return 0;
}
