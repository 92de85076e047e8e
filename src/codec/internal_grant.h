#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/expert_set.h"

/// What the gateway tells a model server about a request, in one signed header. Pure: signing is the caller's (HMAC-SHA-256).
/// Every grant has exactly one encoding; docs/reference/internal-api.md has its layout.
namespace flexpert::codec {

inline constexpr std::string_view kInternalGrantField = "X-Flexpert-Grant";
inline constexpr std::string_view kInternalGrantPrefix = "v1.";
inline constexpr std::size_t kMostInternalGrantBytes = 64 * 1024;     ///< of the field's value
inline constexpr std::size_t kMostForbiddenExperts = 256 * 1024;

/// What stays the same from request to request of a caller and a model.
struct InternalGrantRights {
  std::string tenant;
  std::string model;
  std::string policy_revision;
  std::string rights_digest;               ///< KV blocks may be shared only where tenant, model and this agree
  ExpertSet forbidden;                     ///< everything else is allowed
  bool operator==(const InternalGrantRights&) const = default;
};

/// What belongs to one request.
struct InternalGrantRequest {
  std::string_view request_id;
  std::array<std::uint8_t, 32> body_sha256{};
  std::int64_t expires_unix_ms = 0;        ///< not negative
  std::int64_t deadline_unix_ms = 0;       ///< not negative; 0 = none
  std::uint8_t priority = 1;               ///< 0-2, lower = first
};

struct InternalGrant {
  InternalGrantRights rights;
  std::string request_id;
  std::array<std::uint8_t, 32> body_sha256{};
  std::int64_t expires_unix_ms = 0;
  std::int64_t deadline_unix_ms = 0;
  std::uint8_t priority = 1;
  bool operator==(const InternalGrant&) const = default;
};

/// The encoding of an InternalGrantRights, made once: a payload is then a copy and a few bytes. Immutable.
class InternalGrantForm {
 public:
  /// Errors: kInvalidArgument if a text is over 65,535 bytes, the set over kMostForbiddenExperts or the whole over what a
  /// field can hold.
  static Result<InternalGrantForm> make(const InternalGrantRights& rights);
  /// Appends the text that is signed, base64url. Errors as above, and fields out of range; then nothing was appended.
  Result<void> append_payload(std::string& out, const InternalGrantRequest& request) const;

 private:
  std::string text_;  ///< of whole groups of three bytes
  std::string rest_;  ///< the bytes after them, 0-2
};

/// Returns the text that is signed: version, then every field, unambiguously; base64url. Errors: as InternalGrantForm.
Result<std::string> internal_grant_payload(const InternalGrant& grant);
/// Joins payload and signature into the field's value: "v1.PAYLOAD.SIGNATURE", both base64url.
std::string internal_grant_value(std::string_view payload, const std::array<std::uint8_t, 32>& signature);
/// Ends a value that so far is kInternalGrantPrefix and a payload.
void append_internal_grant_signature(std::string& value, const std::array<std::uint8_t, 32>& signature);

struct SplitInternalGrant {
  std::string_view payload;                ///< verify `signature` over exactly this
  std::array<std::uint8_t, 32> signature{};
};
/// Errors: kInvalidArgument.
Result<SplitInternalGrant> split_internal_grant(std::string_view value);
/// Reads a payload whose signature was verified. Strict: takes only what internal_grant_payload() makes; kInvalidArgument names
/// the part at fault.
Result<InternalGrant> parse_internal_grant(std::string_view payload);

}  // namespace flexpert::codec
