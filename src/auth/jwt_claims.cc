#include "auth/jwt_claims.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace flexpert::auth {
namespace {

constexpr std::size_t kLongestName = 256;
constexpr std::size_t kMostRoles = 64;
/// Roles that only an access token of that name gives.
constexpr std::string_view kTokenRolePrefix = "token:";

/// Names go into logs and keys of tables.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_time(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

Result<void> check_times(const JwtClaims& claims, double leeway_s, double now_unix_s) {
  if (!claims.expires || !is_time(*claims.expires)) return fail(ErrorCode::kUnauthenticated, "exp is missing or no time");
  if (*claims.expires + leeway_s <= now_unix_s) return fail(ErrorCode::kUnauthenticated, "exp: the token is over");
  if (claims.not_before && (!is_time(*claims.not_before) || *claims.not_before - leeway_s > now_unix_s))
    return fail(ErrorCode::kUnauthenticated, "nbf: the token does not count yet");
  if (claims.issued && (!is_time(*claims.issued) || *claims.issued - leeway_s > now_unix_s))
    return fail(ErrorCode::kUnauthenticated, "iat: the token is from the future");
  return {};
}

void add_roles(std::vector<std::string>& roles, std::string_view names, const std::vector<std::string>& allowed) {
  while (!names.empty()) {
    const std::size_t space = names.find(' ');
    const std::string_view name = names.substr(0, space);
    names.remove_prefix(space == std::string_view::npos ? names.size() : space + 1);
    if (roles.size() >= kMostRoles) return;
    const bool may = is_name(name) && !name.starts_with(kTokenRolePrefix) && (allowed.empty() || contains(allowed, name));
    if (may && !contains(roles, name)) roles.emplace_back(name);
  }
}

}  // namespace

Result<Identity> identify_jwt(const JwtClaims& claims, const JwtRules& rules, double now_unix_s) {
  if (!claims.issuer || *claims.issuer != rules.issuer) return fail(ErrorCode::kUnauthenticated, "iss is not that of the issuer");
  const bool for_us = std::any_of(claims.audiences.begin(), claims.audiences.end(),
                                  [&](const auto& name) { return contains(rules.audiences, name); });
  if (!for_us) return fail(ErrorCode::kUnauthenticated, "aud does not name this gateway");
  FLEXPERT_TRY(check_times(claims, rules.leeway_s, now_unix_s));
  if (!claims.subject || !is_name(*claims.subject)) return fail(ErrorCode::kUnauthenticated, "sub is missing or no name");
  if (claims.tenant && !is_name(*claims.tenant)) return fail(ErrorCode::kUnauthenticated, "the tenant's claim is no name");
  const bool any_tenant = rules.allowed_tenants.empty();
  const bool own_tenant = any_tenant ? claims.tenant != "anonymous" : !claims.tenant || contains(rules.allowed_tenants, *claims.tenant);
  if (!own_tenant) return fail(ErrorCode::kUnauthenticated, "the tenant's claim names a tenant that is not the issuer's");
  Identity identity{.credential = Credential::kJwt, .id = *claims.subject, .tenant = claims.tenant.value_or(rules.issuer), .roles = {}};
  for (const std::string& role : rules.default_roles) add_roles(identity.roles, role, {});
  for (const std::string& names : claims.roles) add_roles(identity.roles, names, rules.allowed_roles);
  return identity;
}

}  // namespace flexpert::auth
