#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/api_key.h"
#include "base/result.h"

namespace flexpert::store {

/// API keys in an SQLite file: digests, never the keys' text. What a call has returned for is on the disk. Several processes may
/// use one file at once; an object is used by one thread at a time. Every change touches the file, or the one with "-wal" behind
/// its name.
class KeyStore {
 public:
  /// Opens `path`, made for its owner alone if it is not there. Errors: kFailedPrecondition if the file is not one of ours or of
  /// a newer version; kUnavailable if it cannot be opened.
  static Result<std::unique_ptr<KeyStore>> open(const std::string& path);
  /// Opens an existing file. Errors: as open(); kNotFound.
  static Result<std::unique_ptr<KeyStore>> open_existing(const std::string& path);
  virtual ~KeyStore() = default;

  /// Errors: kInvalidArgument (an id or digest that is there already, a role with a line break).
  virtual Result<void> add(const auth::ApiKeyRecord& record) = 0;
  /// Returns all keys, oldest first.
  [[nodiscard]] virtual Result<std::vector<auth::ApiKeyRecord>> all() = 0;
  /// Ends a key at once and returns its record; one that was revoked before keeps its time. Errors: kNotFound.
  virtual Result<auth::ApiKeyRecord> revoke(std::string_view id, std::int64_t now_unix_ms) = 0;
  /// Adds `successor` and lets the key `id` end at `ends_unix_ms` or when it would have anyway: both or nothing. Errors:
  /// kNotFound; kFailedPrecondition if it is revoked, over, or was replaced already; as add().
  virtual Result<void> replace(std::string_view id, const auth::ApiKeyRecord& successor, std::int64_t ends_unix_ms,
                               std::int64_t now_unix_ms) = 0;
};

}  // namespace flexpert::store
