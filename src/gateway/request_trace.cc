#include "gateway/request_trace.h"

#include <cstring>

namespace flexpert::gateway {

void RequestTrace::begin(const codec::Http1RequestView& head, TraceExport* exporter, Rng& rng) {
  exporter_ = exporter;
  attempts_.clear();
  const auto client = telemetry::parse_traceparent(head.find(codec::Http1KnownField::kTraceparent));
  if (client) {
    context_ = telemetry::child_of(*client, rng);
    parent_ = client->span_id;
  } else {
    context_ = telemetry::new_trace(false, rng);
    parent_.reset();
  }
  context_.sampled = exporter != nullptr ? telemetry::is_sampled(client, exporter->share(), rng) : client && client->sampled;
  telemetry::write_hex(context_.trace_id, trace_id_.data());
}

void RequestTrace::begin_attempt(std::string& lines, const codec::Http1RequestView& client, std::string_view upstream,
                                 TimePoint now, Rng& rng) {
  const telemetry::TraceContext context = telemetry::child_of(context_, rng);
  // "traceparent: ", the field and its line's end, appended at once.
  std::array<char, 13 + telemetry::kTraceparentSize + 2> line;
  std::memcpy(line.data(), "traceparent: ", 13);
  telemetry::write_traceparent(context, line.data() + 13);
  std::memcpy(line.data() + 13 + telemetry::kTraceparentSize, "\r\n", 2);
  lines.append(line.data(), line.size());
  // Without a parent there is no state of it.
  const std::string_view state = parent_ ? client.find(codec::Http1KnownField::kTracestate) : std::string_view();
  if (!state.empty() && telemetry::valid_tracestate(state)) lines.append("tracestate: ").append(state).append("\r\n");
  if (exporter_ == nullptr || !context_.sampled) return;
  attempts_.push_back({.span_id = context.span_id, .upstream = std::string(upstream), .start = now, .end = now});
}

void RequestTrace::end_attempt(int status, std::string_view error, TimePoint now) {
  if (attempts_.empty()) return;
  attempts_.back().end = now;
  attempts_.back().status = status;
  attempts_.back().error = error;
}

void RequestTrace::end(const telemetry::AccessRecord& record, TimePoint arrived, TimePoint now, std::int64_t unix_ms) {
  if (exporter_ == nullptr || !context_.sampled) return;
  const auto unix_ns = [&](TimePoint time) { return unix_ms * 1'000'000 - Duration(now - time).count(); };
  std::vector<telemetry::AttemptSpan> attempts;
  attempts.reserve(attempts_.size());
  for (const Attempt& attempt : attempts_)
    attempts.push_back({.span_id = attempt.span_id,
                        .start_unix_ns = unix_ns(attempt.start),
                        .end_unix_ns = unix_ns(attempt.end),
                        .upstream = attempt.upstream,
                        .status = attempt.status,
                        .error = attempt.error});
  exporter_->add(record, {.context = context_,
                          .parent = parent_,
                          .start_unix_ns = unix_ns(arrived),
                          .end_unix_ns = unix_ns(now),
                          .attempts = attempts});
  attempts_.clear();
}

}  // namespace flexpert::gateway
