#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/jws.h"

/// What a key must be before its signatures count for anything. Only for jwk_set.cc.
namespace flexpert::crypto {

/// A key as cjose may see it: rebuilt from what was checked, so that nothing else of the text reaches it.
struct CheckedJwk {
  std::string json;
  JwsAlgorithms algorithms;
  std::size_t signature_bytes = 0;  ///< of RSA and EC; 0 = a digest's
  bool symmetric = false;
};

/// Errors: kInvalidArgument with the reason.
Result<CheckedJwk> check_rsa_key(std::string_view n, std::string_view e, std::optional<std::string_view> alg);
Result<CheckedJwk> check_ec_key(std::string_view crv, std::string_view x, std::string_view y, std::optional<std::string_view> alg);
Result<CheckedJwk> check_oct_key(std::string_view k, std::optional<std::string_view> alg);

}  // namespace flexpert::crypto
