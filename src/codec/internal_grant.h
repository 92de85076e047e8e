#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/expert_set.h"

/// What the gateway tells a model server about a request, in one signed header. Pure: signing is the caller's (HMAC-SHA-256).
namespace flexpert::codec {

inline constexpr std::string_view kInternalGrantField = "X-Flexpert-Grant";

struct InternalGrant {
  std::string request_id;
  std::string tenant;
  std::string model;
  std::string policy_revision;
  std::string rights_digest;               ///< KV blocks may be shared only where tenant, model and this agree
  std::array<std::uint8_t, 32> body_sha256{};
  std::int64_t expires_unix_ms = 0;
  std::int64_t deadline_unix_ms = 0;       ///< 0 = none
  std::uint8_t priority = 1;
  ExpertSet forbidden;                     ///< everything else is allowed
};

/// Returns the text that is signed: version, then every field, unambiguously; base64url.
std::string internal_grant_payload(const InternalGrant& grant);
/// Joins payload and signature into the field's value: "v1.PAYLOAD.SIGNATURE", both base64url.
std::string internal_grant_value(std::string_view payload, const std::array<std::uint8_t, 32>& signature);

struct SplitInternalGrant {
  std::string_view payload;                ///< verify `signature` over exactly this
  std::array<std::uint8_t, 32> signature{};
};
/// Errors: kInvalidArgument.
Result<SplitInternalGrant> split_internal_grant(std::string_view value);
/// Reads a payload whose signature was verified. Strict; kInvalidArgument names the part at fault.
Result<InternalGrant> parse_internal_grant(std::string_view payload);

}  // namespace flexpert::codec
