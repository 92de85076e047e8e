#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "telemetry/request_log.h"
#include "telemetry/trace_context.h"

namespace flexpert::telemetry {

/// One try of a request on one upstream. Views hold during the call.
struct AttemptSpan {
  SpanId span_id{};                ///< what the upstream got as its parent
  std::int64_t start_unix_ns = 0;
  std::int64_t end_unix_ns = 0;
  std::string_view upstream{};
  int status = 0;                  ///< 0: there was no answer
  std::string_view error{};        ///< why it failed; empty = it did not
};

/// What there is to say of a request's trace beside its AccessRecord.
struct RequestSpan {
  TraceContext context;            ///< of the gateway's own span
  std::optional<SpanId> parent{};  ///< the client's span
  std::int64_t start_unix_ns = 0;
  std::int64_t end_unix_ns = 0;
  std::span<const AttemptSpan> attempts{};
};

/// Decides whether a request is traced: where the client's context is sampled, else at random with `share`.
bool is_sampled(const std::optional<TraceContext>& client, double share, Rng& rng);

struct SpanExporterOptions {
  std::string service = "flexpert-gateway";
  std::string instance{};                   ///< tells processes apart
  std::size_t batch_bytes = 256 * 1024;     ///< a batch goes out when it is so large, or with flush()
  std::size_t max_waiting_bytes = 1 << 20;  ///< spans beyond are dropped
};

/// Collects spans, and sends them in batches as OTLP/HTTP JSON (opentelemetry-proto 1.x, POST /v1/traces) through a sink. Never
/// waits: one batch is under way at a time, and what comes while too much waits is dropped and counted. Belongs to one thread.
class SpanExporter {
 public:
  using Sent = std::move_only_function<void(bool taken)>;
  /// Sends one ExportTraceServiceRequest. Calls `sent` once, later or at once; may drop it only when it is itself destroyed.
  using Sink = std::function<void(std::string body, Sent sent)>;

  SpanExporter(SpanExporterOptions options, Sink sink);
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  /// Adds the span of a request and those of its attempts.
  void add(const AccessRecord& record, const RequestSpan& request);
  /// Sends what waits, if nothing is under way; to be called once a second.
  void flush();

  [[nodiscard]] std::uint64_t exported() const { return exported_; }  ///< spans that the sink took
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }    ///< spans lost: too many, or not taken
  [[nodiscard]] std::size_t waiting() const { return waiting_spans_; }

 private:
  void done(std::size_t spans, bool taken);

  SpanExporterOptions options_;
  Sink sink_;
  std::string waiting_;  ///< spans as JSON, with commas between
  std::size_t waiting_spans_ = 0;
  bool under_way_ = false;
  std::uint64_t exported_ = 0;
  std::uint64_t dropped_ = 0;
  std::shared_ptr<SpanExporter*> self_;  ///< what callbacks hold, weakly
};

}  // namespace flexpert::telemetry
