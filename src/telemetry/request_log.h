#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::telemetry {

/// One finished request, as the access log has it. Views hold during the call. Never holds a credential, a prompt or an answer.
struct AccessRecord {
  std::int64_t unix_ms = 0;          ///< when it came
  std::string_view request_id;
  std::string_view trace_id;         ///< 32 hex digits
  std::string_view peer;
  std::string_view tenant;
  std::string_view principal;        ///< key id or JWT subject
  std::string_view method;
  std::string_view path;             ///< one of our own paths, never a client's text
  std::string_view model;
  std::string_view upstream;
  int status = 0;
  std::string_view outcome;          ///< "ok", "refused", "client_gone", "upstream_failed", "cached", ...
  std::string_view reason;           ///< code of the refusal or failure
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  std::uint32_t attempts = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t queue_us = 0;
  std::uint32_t ttft_us = 0;
  std::uint32_t total_us = 0;
  std::string_view degraded;         ///< the ladder's step, if any
};

/// Appends JSON lines to a file, buffered: flushed when 64 KiB are there, when flush() is called (once a second) and at the end.
/// Reopens its file when told to (log rotation). A line is one write at least as large as itself, never torn between processes.
/// Belongs to one thread.
class AccessLog {
 public:
  /// `path`: a file, "-" for stdout, empty for none. Errors: kFailedPrecondition with the reason.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path);
  virtual ~AccessLog() = default;
  virtual void write(const AccessRecord& record) = 0;
  virtual void flush() = 0;
  virtual void reopen() = 0;
};

/// One act that must be accounted for: a denial, a downgrade, a degradation, an administrative act.
struct AuditRecord {
  std::int64_t unix_ms = 0;
  std::string_view event;            ///< "denied", "downgraded", "degraded", "admin", "authentication_failed"
  std::string_view request_id;
  std::string_view tenant;
  std::string_view principal;
  std::string_view peer;
  std::string_view action;           ///< "POST /v1/chat/completions", "keys.create", "policy.reload"
  std::string_view object;           ///< model, expert groups, key id
  std::string_view reason;           ///< machine-readable
  std::string_view policy_revision;
};

/// Append-only (O_APPEND), one line a record, each written at once and numbered, each carrying the digest of the one before so
/// that a gap shows. Belongs to one thread.
class AuditLog {
 public:
  static Result<std::unique_ptr<AuditLog>> open(const std::string& path);
  virtual ~AuditLog() = default;
  virtual void write(const AuditRecord& record) = 0;
  virtual void reopen() = 0;
};

}  // namespace flexpert::telemetry
