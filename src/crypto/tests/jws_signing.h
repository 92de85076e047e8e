#pragma once

#include <cjose/cjose.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/base64url.h"
#include "crypto/hmac_key.h"

/// Makes tokens for tests.
namespace flexpert::crypto {

inline std::string b64(std::string_view text) { return to_base64url(text); }

/// Signs any header and payload with HS256, sound or not.
inline std::string hs256_token(std::string_view secret, std::string_view header, std::string_view payload) {
  const std::string text = b64(header) + "." + b64(payload);
  const Digest digest = HmacKey(secret).sign(text);
  return text + "." + b64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

inline std::string hs256_jwk(std::string_view secret, std::string_view more = "") {
  return "{\"kty\":\"oct\",\"k\":\"" + b64(secret) + "\"" + std::string(more) + "}";
}

/// A fresh key pair of cjose.
class SigningKey {
 public:
  static SigningKey rsa(std::size_t bits) { return SigningKey(cjose_jwk_create_RSA_random(bits, nullptr, 0, nullptr)); }
  static SigningKey ec(cjose_jwk_ec_curve curve) { return SigningKey(cjose_jwk_create_EC_random(curve, nullptr)); }
  SigningKey(SigningKey&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}
  SigningKey& operator=(SigningKey&&) = delete;
  ~SigningKey() {
    if (key_ != nullptr) cjose_jwk_release(key_);
  }

  /// The public part as a JWK, with `more` members (",\"alg\":...") at its end.
  [[nodiscard]] std::string jwk(std::string_view more = "", bool with_private = false) const {
    char* const text = cjose_jwk_to_json(key_, with_private, nullptr);
    std::string json(text);
    std::free(text);
    json.insert(json.size() - 1, more);
    return json;
  }
  [[nodiscard]] std::string sign(const char* alg, const char* kid, std::string_view payload) const {
    cjose_header_t* const header = cjose_header_new(nullptr);
    cjose_header_set(header, CJOSE_HDR_ALG, alg, nullptr);
    if (kid != nullptr) cjose_header_set(header, CJOSE_HDR_KID, kid, nullptr);
    cjose_jws_t* const jws = cjose_jws_sign(key_, header, reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(), nullptr);
    const char* text = nullptr;
    std::string token;
    if (jws != nullptr && cjose_jws_export(jws, &text, nullptr)) token = text;
    if (jws != nullptr) cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
  }

 private:
  explicit SigningKey(cjose_jwk_t* key) : key_(key) {}
  cjose_jwk_t* key_;
};

}  // namespace flexpert::crypto
