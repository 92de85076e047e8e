#include "crypto/jwk_checks.h"

#include <openssl/bn.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "base/base64url.h"
#include "crypto/hmac_key.h"

namespace flexpert::crypto {
namespace {

constexpr int kFewestRsaBits = 2048;
constexpr int kMostRsaBits = 8192;
constexpr std::size_t kLongestExponent = 8;
constexpr std::size_t kLongestSecret = 1024;

using Bignum = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

Bignum bignum(std::string_view big_endian) {
  return {BN_bin2bn(reinterpret_cast<const unsigned char*>(big_endian.data()), static_cast<int>(big_endian.size()), nullptr), &BN_free};
}

std::string_view without_leading_zeros(std::string_view bytes) {
  const std::size_t first = bytes.find_first_not_of('\0');
  return first == std::string_view::npos ? std::string_view{} : bytes.substr(first);
}

/// Tells whether a modulus has the fingerprint of CVE-2017-15361 (Nemec and others, "The Return of Coppersmith's Attack", 2017):
/// its remainder by each of these primes is a power of 65537. By chance: less than one in 2^100.
bool is_roca_modulus(const BIGNUM* n) {
  constexpr std::array<std::uint64_t, 38> kPrimes = {
      3,  5,  7,  11, 13, 17, 19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
      73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
  return std::all_of(kPrimes.begin(), kPrimes.end(), [n](std::uint64_t prime) {
    const std::uint64_t remainder = BN_mod_word(n, prime);
    std::uint64_t power = 1;
    do {
      if (power == remainder) return true;
      power = power * 65537 % prime;
    } while (power != 1);
    return false;
  });
}

struct Curve {
  std::string_view name;
  std::size_t bytes;
  JwsAlgorithm algorithm;
};
constexpr std::array<Curve, 3> kCurves = {
    {{"P-256", 32, JwsAlgorithm::kEs256}, {"P-384", 48, JwsAlgorithm::kEs384}, {"P-521", 66, JwsAlgorithm::kEs512}}};

}  // namespace

Result<CheckedJwk> check_rsa_key(std::string_view n, std::string_view e, std::optional<std::string_view> alg) {
  const auto n_bytes = from_base64url(n);
  const auto e_bytes = from_base64url(e);
  if (!n_bytes || !e_bytes) return fail(ErrorCode::kInvalidArgument, "n or e is missing or not base64url");
  const std::string_view modulus = without_leading_zeros(*n_bytes);
  const std::string_view exponent = without_leading_zeros(*e_bytes);
  if (modulus.size() > kMostRsaBits / 8) return fail(ErrorCode::kInvalidArgument, "RSA key of over {} bits", kMostRsaBits);
  const Bignum number = bignum(modulus);
  const int bits = number == nullptr ? 0 : BN_num_bits(number.get());
  if (bits < kFewestRsaBits) return fail(ErrorCode::kInvalidArgument, "RSA key of {} bits; at least {} are needed", bits, kFewestRsaBits);
  if (BN_is_odd(number.get()) == 0) return fail(ErrorCode::kInvalidArgument, "RSA modulus is even");
  if (exponent.size() > kLongestExponent || exponent.empty() || (exponent.back() & 1) == 0 || exponent == "\x01")
    return fail(ErrorCode::kInvalidArgument, "RSA exponent is not an odd number from 3 to 2^64");
  if (is_roca_modulus(number.get()))
    return fail(ErrorCode::kInvalidArgument, "RSA key of a generator whose keys can be factored (CVE-2017-15361)");

  CheckedJwk key;
  const auto own = alg ? jws_algorithm(*alg) : std::nullopt;
  const bool any = !alg.has_value();
  const bool pkcs1 = own >= JwsAlgorithm::kRs256 && own <= JwsAlgorithm::kRs512;
  const bool pss = own >= JwsAlgorithm::kPs256 && own <= JwsAlgorithm::kPs512;
  if (!any && !pkcs1 && !pss) return fail(ErrorCode::kInvalidArgument, "alg is none of RS256 to RS512 and PS256 to PS512");
  // The key's `alg` fixes the padding and the weakest digest; a stronger one is the issuer's list's to allow (RFC 7520 signs
  // PS384 with a key that wycheproof marks PS256, and PS256 with one marked PS512 is a downgrade).
  for (const auto each : {JwsAlgorithm::kRs256, JwsAlgorithm::kRs384, JwsAlgorithm::kRs512})
    if (any || (pkcs1 && each >= *own)) key.algorithms.add(each);
  for (const auto each : {JwsAlgorithm::kPs256, JwsAlgorithm::kPs384, JwsAlgorithm::kPs512})
    if (any || (pss && each >= *own)) key.algorithms.add(each);
  key.signature_bytes = modulus.size();
  key.json = fmt::format(R"({{"kty":"RSA","n":"{}","e":"{}"}})", to_base64url(modulus), to_base64url(exponent));
  return key;
}

Result<CheckedJwk> check_ec_key(std::string_view crv, std::string_view x, std::string_view y, std::optional<std::string_view> alg) {
  const auto curve = std::find_if(kCurves.begin(), kCurves.end(), [crv](const Curve& known) { return known.name == crv; });
  if (curve == kCurves.end()) return fail(ErrorCode::kInvalidArgument, "crv is none of P-256, P-384 and P-521");
  // "ES521" is how some write ES512, whose curve is P-521.
  const bool agrees = !alg || *alg == name_of(curve->algorithm) || (*alg == "ES521" && curve->algorithm == JwsAlgorithm::kEs512);
  if (!agrees) return fail(ErrorCode::kInvalidArgument, "alg is not {}, that of its curve", name_of(curve->algorithm));
  const auto x_bytes = from_base64url(x);
  const auto y_bytes = from_base64url(y);
  if (!x_bytes || !y_bytes || x_bytes->size() != curve->bytes || y_bytes->size() != curve->bytes)
    return fail(ErrorCode::kInvalidArgument, "x or y is not {} bytes in base64url", curve->bytes);
  CheckedJwk key;
  key.algorithms.add(curve->algorithm);
  key.signature_bytes = 2 * curve->bytes;
  key.json = fmt::format(R"({{"kty":"EC","crv":"{}","x":"{}","y":"{}"}})", crv, x, y);
  return key;
}

Result<CheckedJwk> check_oct_key(std::string_view k, std::optional<std::string_view> alg) {
  const auto secret = from_base64url(k);
  if (!secret || secret->size() > kLongestSecret)
    return fail(ErrorCode::kInvalidArgument, "k is not at most {} bytes in base64url", kLongestSecret);
  CheckedJwk key;
  key.symmetric = true;
  constexpr std::array<std::pair<JwsAlgorithm, std::size_t>, 3> kFewestBytes = {
      {{JwsAlgorithm::kHs256, 32}, {JwsAlgorithm::kHs384, 48}, {JwsAlgorithm::kHs512, 64}}};
  for (const auto& [algorithm, bytes] : kFewestBytes)
    if (secret->size() >= bytes && (!alg || *alg == name_of(algorithm))) key.algorithms.add(algorithm);
  if (key.algorithms.empty())
    return fail(ErrorCode::kInvalidArgument, "alg is none of HS256, HS384 and HS512, or k is shorter than its digest (RFC 7518, 3.2)");
  key.json = fmt::format(R"({{"kty":"oct","k":"{}"}})", k);
  return key;
}

}  // namespace flexpert::crypto
