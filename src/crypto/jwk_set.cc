#include "crypto/jwk_set.h"

#include <cjose/cjose.h>

#include <algorithm>
#include <set>

#include "crypto/json_object.h"
#include "crypto/jwk_checks.h"

namespace flexpert::crypto {
namespace {

constexpr std::size_t kLongestSet = 1 << 20;
constexpr std::size_t kMostKeys = 256;
constexpr std::size_t kLongestKid = 256;

using CjoseKey = std::unique_ptr<cjose_jwk_t, bool (*)(cjose_jwk_t*)>;
using CjoseJws = std::unique_ptr<cjose_jws_t, void (*)(cjose_jws_t*)>;

std::size_t digest_bytes(JwsAlgorithm algorithm) {
  switch (algorithm) {
    case JwsAlgorithm::kHs384: return 48;
    case JwsAlgorithm::kHs512: return 64;
    default: return 32;
  }
}

/// Returns a member that must be text where it is there at all.
Result<std::optional<std::string_view>> optional_text(const json_t* jwk, const char* name) {
  const json_t* const member = json_object_get(jwk, name);
  if (member == nullptr) return std::optional<std::string_view>();
  if (!json_is_string(member)) return fail(ErrorCode::kInvalidArgument, "{} is no text", name);
  return std::optional(text_member(jwk, name));
}

/// Fails for what is no key for verifying signatures.
Result<void> check_purpose(const json_t* jwk) {
  if (!json_is_object(jwk)) return fail(ErrorCode::kInvalidArgument, "no JSON object");
  FLEXPERT_ASSIGN(const auto use, optional_text(jwk, "use"));
  if (use && *use != "sig") return fail(ErrorCode::kInvalidArgument, "use is not sig");
  const json_t* const operations = json_object_get(jwk, "key_ops");
  if (operations == nullptr) return {};
  if (json_is_array(operations))
    for (std::size_t i = 0; i < json_array_size(operations); ++i) {
      const json_t* const operation = json_array_get(operations, i);
      if (json_is_string(operation) && std::string_view(json_string_value(operation)) == "verify") return {};
    }
  return fail(ErrorCode::kInvalidArgument, "key_ops does not list verify");
}

Result<CheckedJwk> check(const json_t* jwk) {
  FLEXPERT_ASSIGN(const auto alg, optional_text(jwk, "alg"));
  const std::string_view kty = text_member(jwk, "kty");
  if (kty != "oct" && json_object_get(jwk, "d") != nullptr)
    return fail(ErrorCode::kInvalidArgument, "a private key; only its public part belongs here");
  if (kty == "RSA") return check_rsa_key(text_member(jwk, "n"), text_member(jwk, "e"), alg);
  if (kty == "EC") return check_ec_key(text_member(jwk, "crv"), text_member(jwk, "x"), text_member(jwk, "y"), alg);
  if (kty == "oct") return check_oct_key(text_member(jwk, "k"), alg);
  return fail(ErrorCode::kInvalidArgument, "kty is none of RSA, EC and oct");
}

}  // namespace

struct JwkSet::Key {
  std::optional<std::string> kid;
  JwsAlgorithms algorithms;
  std::size_t signature_bytes = 0;
  CjoseKey jwk{nullptr, &cjose_jwk_release};
};

Result<JwkSet> JwkSet::parse(std::string_view json, JwkOptions options) {
  if (json.size() > kLongestSet) return fail(ErrorCode::kInvalidArgument, "key set of over {} bytes", kLongestSet);
  const JsonPtr root = parse_json_object(json);
  if (root == nullptr) return fail(ErrorCode::kInvalidArgument, "key set is no JSON object with each member once");
  const json_t* const list = json_object_get(root.get(), "keys");
  if (list != nullptr && !json_is_array(list)) return fail(ErrorCode::kInvalidArgument, "key set: keys is no list");
  const std::size_t count = list == nullptr ? 1 : json_array_size(list);
  if (count > kMostKeys) return fail(ErrorCode::kInvalidArgument, "key set of {} keys; at most {} are taken", count, kMostKeys);

  JwkSet set;
  std::set<std::string, std::less<>> kids;
  bool symmetric = false;
  bool asymmetric = false;
  for (std::size_t i = 0; i < count; ++i) {
    const json_t* const jwk = list == nullptr ? root.get() : json_array_get(list, i);
    const auto leave_out = [&](std::string_view why) { set.ignored_.push_back(fmt::format("key {}: {}", i + 1, why)); };
    if (const auto purpose = check_purpose(jwk); !purpose) {
      leave_out(purpose.error().message);
      continue;
    }
    const auto kid = optional_text(jwk, "kid");
    if (!kid || (*kid && (*kid)->size() > kLongestKid)) {
      leave_out(fmt::format("kid is no text of at most {} bytes", kLongestKid));
      continue;
    }
    // Also of keys that are left out below: which of two is meant is not ours to guess.
    if (*kid && !kids.insert(std::string(**kid)).second)
      return fail(ErrorCode::kInvalidArgument, "key set: key {} has the kid of another", i + 1);
    auto checked = check(jwk);
    if (!checked) {
      leave_out(checked.error().message);
      continue;
    }
    symmetric = symmetric || checked->symmetric;
    asymmetric = asymmetric || !checked->symmetric;
    auto key = std::make_shared<Key>();
    // cjose checks that the point is on the curve.
    key->jwk.reset(cjose_jwk_import(checked->json.data(), checked->json.size(), nullptr));
    if (key->jwk == nullptr) {
      leave_out("not a valid key of its kind");
      continue;
    }
    if (*kid) key->kid.emplace(**kid);
    key->algorithms = checked->algorithms;
    key->signature_bytes = checked->signature_bytes;
    if (checked->symmetric && !options.symmetric) {
      leave_out("a symmetric key, which is only taken from a file");
      continue;
    }
    set.keys_.push_back(std::move(key));
  }
  if (symmetric && asymmetric) return fail(ErrorCode::kInvalidArgument, "key set mixes symmetric and asymmetric keys");
  if (set.keys_.empty())
    return fail(ErrorCode::kInvalidArgument, "key set has no usable key{}{}", set.ignored_.empty() ? "" : ": ",
                fmt::join(set.ignored_, "; "));
  return set;
}

Result<std::string> JwkSet::verify(const UnverifiedJws& jws, JwsAlgorithms allowed) const {
  if (!allowed.contains(jws.algorithm))
    return fail(ErrorCode::kUnauthenticated, "the token's algorithm is not allowed: {}", name_of(jws.algorithm));
  const Key* chosen = nullptr;
  std::size_t fitting = 0;
  for (const auto& key : keys_) {
    if (jws.kid ? key->kid != jws.kid : !key->algorithms.contains(jws.algorithm)) continue;
    chosen = key.get();
    ++fitting;
  }
  if (fitting == 0) return fail(ErrorCode::kNotFound, "no key of the set is for the token");
  if (fitting > 1) return fail(ErrorCode::kUnauthenticated, "the token names no key, and several of the set could be meant");
  if (!chosen->algorithms.contains(jws.algorithm))
    return fail(ErrorCode::kUnauthenticated, "the token's algorithm is not one of its key's");
  // cjose compares a digest before it looks at its length: lengths must be right before it is asked.
  const std::size_t expected = chosen->signature_bytes != 0 ? chosen->signature_bytes : digest_bytes(jws.algorithm);
  if (jws.signature.size() != expected)
    return fail(ErrorCode::kUnauthenticated, "the token's signature has not the length of its key's signatures");
  const CjoseJws imported(cjose_jws_import(jws.compact.data(), jws.compact.size(), nullptr), &cjose_jws_release);
  if (imported == nullptr || !cjose_jws_verify(imported.get(), chosen->jwk.get(), nullptr))
    return fail(ErrorCode::kUnauthenticated, "the token's signature does not match");
  std::uint8_t* plain = nullptr;
  std::size_t size = 0;
  if (!cjose_jws_get_plaintext(imported.get(), &plain, &size, nullptr))
    return fail(ErrorCode::kUnauthenticated, "the token has no payload");
  return std::string(reinterpret_cast<const char*>(plain), size);
}

}  // namespace flexpert::crypto
