#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::telemetry {

/// One finished request, as the access log has it. Views hold during the call. Never holds a credential, a prompt or an answer.
struct AccessRecord {
  std::int64_t unix_ms = 0;          ///< when it came
  std::string_view request_id{};
  std::string_view trace_id{};         ///< 32 hex digits
  std::string_view peer{};
  std::string_view tenant{};
  std::string_view principal{};        ///< key id or JWT subject
  std::string_view method{};
  std::string_view path{};             ///< one of our own paths, never a client's text
  std::string_view model{};
  std::string_view upstream{};
  int status = 0;
  std::string_view outcome{};          ///< "ok", "refused", "client_gone", "upstream_failed", "cached", ...
  std::string_view reason{};           ///< code of the refusal or failure
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  std::uint32_t attempts = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t queue_us = 0;
  std::uint32_t ttft_us = 0;
  std::uint32_t total_us = 0;
  std::string_view degraded{};         ///< the ladder's step, if any
};

/// Appends JSON lines to a file, buffered: flushed when 64 KiB are there, when flush() is called (once a second) and at the end.
/// Reopens its file when told to (log rotation). A line is one write at least as large as itself, never torn between processes.
/// Texts over 256 bytes are cut off. Lines that cannot be written (a full disk) are dropped and counted. Belongs to one thread.
class AccessLog {
 public:
  /// `path`: a file, "-" for stdout, empty for none. Errors: kFailedPrecondition with the reason.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path);
  virtual ~AccessLog() = default;
  /// About 800 instructions, and a system call every 64 KiB.
  virtual void write(const AccessRecord& record) = 0;
  virtual void flush() = 0;
  /// Where the file cannot be opened the old one stays in use.
  virtual void reopen() = 0;
  /// Lines that were lost.
  [[nodiscard]] virtual std::uint64_t dropped() const = 0;
};

/// One act that must be accounted for: a denial, a downgrade, a degradation, an administrative act.
struct AuditRecord {
  std::int64_t unix_ms = 0;
  std::string_view event{};            ///< "denied", "downgraded", "degraded", "admin", "authentication_failed"
  std::string_view request_id{};
  std::string_view tenant{};
  std::string_view principal{};
  std::string_view peer{};
  std::string_view action{};           ///< "POST /v1/chat/completions", "keys.create", "policy.reload"
  std::string_view object{};           ///< model, expert groups, key id
  std::string_view reason{};           ///< machine-readable
  std::string_view policy_revision{};
};

/// Returns hex digits of a digest: SHA-256, or HMAC-SHA-256 under a key, so that nobody without it can rewrite the log.
using AuditDigest = std::function<std::string(std::string_view)>;

/// Append-only (O_APPEND), one line a record, each written at once and numbered ("seq"), each carrying the digest of the line
/// before ("prev") so that a gap or a change shows. Several processes may share a file: each line is written under a lock on it.
/// Survives restarts and rotation: the chain goes on. Belongs to one thread.
class AuditLog {
 public:
  /// `path`: a file; empty: records go to the program's log. Errors: kFailedPrecondition with the reason.
  static Result<std::unique_ptr<AuditLog>> open(const std::string& path, AuditDigest digest);
  virtual ~AuditLog() = default;
  virtual void write(const AuditRecord& record) = 0;
  virtual void reopen() = 0;
  /// Records that could not be written; each is in the program's log instead.
  [[nodiscard]] virtual std::uint64_t failed() const = 0;
};

/// Checks the chain of a whole audit log; returns its number of records. A log whose older part was rotated away begins anywhere.
/// Errors: kDataLoss with the number of the first line that does not follow from the one before.
Result<std::uint64_t> check_audit_log(std::string_view text, const AuditDigest& digest);

}  // namespace flexpert::telemetry
