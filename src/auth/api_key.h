#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/policy.h"
#include "base/clock.h"
#include "base/result.h"

namespace flexpert::auth {

/// HMAC-SHA-256 of a key's text under the server's pepper: all that is ever stored of it.
using KeyDigest = std::array<std::uint8_t, 32>;

/// An API key as it is stored.
struct ApiKeyRecord {
  std::string id;        ///< public: "key_" and 16 characters; in logs
  KeyDigest digest{};
  std::string name;      ///< what a person calls it
  std::string tenant;
  std::vector<std::string> roles;
  std::int64_t created_unix_ms = 0;
  std::int64_t expires_unix_ms = 0;  ///< 0 = never
  std::int64_t revoked_unix_ms = 0;  ///< 0 = not
  std::string replaced_by;           ///< after a rotation
};

/// The form of a key's text: "fx-" and 43 characters of base64url (256 random bits).
inline constexpr std::string_view kApiKeyPrefix = "fx-";
/// Tells whether `text` has the form of one of our keys.
bool is_api_key_text(std::string_view text);

/// Keys by digest. Immutable once filled; a reload makes a new one. The digest is keyed, so finding it by hash tells an attacker nothing.
class ApiKeys {
 public:
  /// Errors: kInvalidArgument (an id or a digest twice).
  static Result<ApiKeys> make(std::vector<ApiKeyRecord> records);
  /// Returns the record, unless it is unknown, revoked or expired at `now_unix_ms`.
  [[nodiscard]] const ApiKeyRecord* find(const KeyDigest& digest, std::int64_t now_unix_ms) const;
  [[nodiscard]] const std::vector<ApiKeyRecord>& records() const { return records_; }

 private:
  struct DigestHash {
    std::size_t operator()(const KeyDigest& digest) const;
  };
  std::vector<ApiKeyRecord> records_;
  std::unordered_map<KeyDigest, std::size_t, DigestHash> by_digest_;
};

}  // namespace flexpert::auth
