#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/policy.h"
#include "base/result.h"

/// What a token whose signature holds must say to be taken. Pure.
namespace flexpert::auth {

/// The claims that count (RFC 7519, 4.1, and the two that the issuer's configuration names). Times are seconds since 1970.
struct JwtClaims {
  std::optional<std::string> issuer;
  std::optional<std::string> subject;
  std::vector<std::string> audiences;
  std::optional<double> expires;
  std::optional<double> not_before;
  std::optional<double> issued;
  std::optional<std::string> tenant;
  std::vector<std::string> roles;  ///< each may hold several names with spaces between them
};

/// What one issuer's tokens must say and what they are worth.
struct JwtRules {
  std::string issuer;
  std::vector<std::string> audiences;      ///< one of them must be in the token
  double leeway_s = 30;                    ///< that clocks may differ by
  std::vector<std::string> default_roles;  ///< of every token
  std::vector<std::string> allowed_roles;  ///< that a token may give; empty = every role
  std::vector<std::string> allowed_tenants = {};  ///< that a token may name; empty = every tenant but "anonymous"
};

/// Returns who the token names. A role that is not allowed counts for nothing, nor does one that only an access token gives
/// ("token:..."); a token without a tenant belongs to the tenant of its issuer's name. Errors: kUnauthenticated with the claim
/// at fault, quoting none: issuer, audience, exp (missing or over), nbf, iat in the future, sub (missing or empty), a tenant that
/// is not allowed, names that are too long or have control characters.
Result<Identity> identify_jwt(const JwtClaims& claims, const JwtRules& rules, double now_unix_s);

}  // namespace flexpert::auth
