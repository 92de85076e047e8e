#include "security/jwt_maker.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <vector>

#include <fmt/format.h>

namespace flexpert::bench::security {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string to_pem(EVP_PKEY* key) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

Key from_pem(const std::string& pem) {
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

std::string number(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key, name, &value);
  const std::unique_ptr<BIGNUM, Free> owned(value);
  std::string bytes(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(value)), '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return to_base64url(bytes);
}

}  // namespace

std::string make_rsa_pem() { return to_pem(Key(EVP_RSA_gen(2048)).get()); }
std::string make_ec_pem() { return to_pem(Key(EVP_EC_gen("P-256")).get()); }

std::string public_pem(const std::string& private_pem) {
  const Key key = from_pem(private_pem);
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key.get());
  return text_of(bio.get());
}

std::string rsa_jwk(const std::string& private_pem, std::string_view kid, std::string_view alg) {
  const Key key = from_pem(private_pem);
  return fmt::format(R"({{"kty":"RSA","use":"sig","alg":"{}","kid":"{}","n":"{}","e":"{}"}})", alg, kid, number(key.get(), OSSL_PKEY_PARAM_RSA_N, 0),
                     number(key.get(), OSSL_PKEY_PARAM_RSA_E, 0));
}

std::string ec_jwk(const std::string& private_pem, std::string_view kid) {
  const Key key = from_pem(private_pem);
  return fmt::format(R"({{"kty":"EC","use":"sig","alg":"ES256","crv":"P-256","kid":"{}","x":"{}","y":"{}"}})", kid,
                     number(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, 32), number(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, 32));
}

std::string signature_of(std::string_view text, std::string_view algorithm, const std::string& key_text) {
  if (algorithm == "none") return {};
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (algorithm == "HS256") {
    unsigned char out[32];
    unsigned int size = 0;
    HMAC(EVP_sha256(), key_text.data(), static_cast<int>(key_text.size()), data, text.size(), out, &size);
    return {reinterpret_cast<const char*>(out), size};
  }
  const Key key = from_pem(key_text);
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* settings = nullptr;
  EVP_DigestSignInit(context.get(), &settings, algorithm.ends_with("384") ? EVP_sha384() : EVP_sha256(), nullptr, key.get());
  if (algorithm.starts_with("PS")) {
    EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST);
  }
  std::size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
  std::string signature(size, '\0');
  EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, text.size());
  signature.resize(size);
  if (!algorithm.starts_with("ES")) return signature;
  // JWS wants r and s side by side, OpenSSL gives DER.
  const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
  const std::unique_ptr<ECDSA_SIG, Free> pair(d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size())));
  std::string flat(64, '\0');
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), reinterpret_cast<unsigned char*>(flat.data()), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), reinterpret_cast<unsigned char*>(flat.data()) + 32, 32);
  return flat;
}

std::string sign(std::string_view header, std::string_view payload, std::string_view algorithm, const std::string& key) {
  const std::string signed_text = to_base64url(header) + "." + to_base64url(payload);
  return signed_text + "." + to_base64url(signature_of(signed_text, algorithm, key));
}

}  // namespace flexpert::bench::security
