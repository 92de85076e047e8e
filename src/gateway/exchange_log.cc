#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "gateway/exchange.h"
#include "gateway/relay.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {
namespace {

std::uint32_t microseconds(Duration duration) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(std::chrono::duration_cast<Microseconds>(duration).count(), 0, UINT32_MAX));
}

}  // namespace

void Exchange::write_access(std::string_view outcome) {
  telemetry::AccessLog* log = relay_.parts_.access_log;
  if (log == nullptr && !(trace_.sampled() && relay_.parts_.traces != nullptr)) return;
  const TimePoint now = relay_.parts_.loop.now();
  const Duration total = now - arrived_;
  const std::int64_t unix_ms = relay_.parts_.clock.unix_ms();
  // Every field once: a record that is emptied first costs more than the rest of this.
  const telemetry::AccessRecord record{
      .unix_ms = unix_ms - std::chrono::duration_cast<Milliseconds>(total).count(),
      .request_id = id_.text(),
      .trace_id = trace_.trace_id(),
      .peer = peer_,
      .tenant = caller_ ? std::string_view(caller_->identity.tenant) : std::string_view(),
      .principal = caller_ ? std::string_view(caller_->identity.id) : std::string_view(),
      .method = method_,
      .path = route_ != nullptr ? route_->path : kOtherPath,
      .model = right_ != nullptr ? std::string_view(fields_.model) : std::string_view(),  // one that there is
      .upstream = load_ ? std::string_view(load_->server()) : std::string_view(),
      .status = status_,
      .outcome = outcome,
      .reason = reason_,
      .request_bytes = request_bytes_,
      .response_bytes = sent_bytes_,
      .attempts = attempts_,
      .prompt_tokens = static_cast<std::uint32_t>(prompt_tokens_),
      .completion_tokens = static_cast<std::uint32_t>(completion_tokens_),
      .queue_us = admitted_ ? microseconds(admitted_->waited()) : 0,
      .ttft_us = first_piece_ != TimePoint{} ? microseconds(first_piece_ - arrived_) : 0,
      .total_us = microseconds(total),
      .degraded = degraded_,
  };
  if (log != nullptr) log->write(record);
  trace_.end(record, arrived_, now, unix_ms);
}

void Exchange::audit(std::string_view event, std::string_view object, std::string_view reason) {
  telemetry::AuditLog* log = relay_.parts_.audit_log;
  if (log == nullptr) return;
  telemetry::AuditRecord record;
  record.unix_ms = relay_.parts_.clock.unix_ms();
  record.event = event;
  record.request_id = id_.text();
  if (caller_) {
    record.tenant = caller_->identity.tenant;
    record.principal = caller_->identity.id;
    record.policy_revision = caller_->policy_revision;
  }
  record.peer = peer_;
  const std::string action = fmt::format("{} {}", method_, route_ != nullptr ? route_->path : kOtherPath);
  record.action = action;
  record.object = object;
  record.reason = reason;
  log->write(record);
}

}  // namespace flexpert::gateway
