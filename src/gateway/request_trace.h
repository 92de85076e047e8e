#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "codec/http1_view.h"
#include "gateway/trace_export.h"
#include "telemetry/trace_context.h"

namespace flexpert::gateway {

/// The trace of one request: the client's, where its traceparent is good, or one of its own. Every attempt is a span below the
/// gateway's, and the upstream gets that. Kept between requests; allocates only for requests that are sampled. Belongs to the loop's
/// thread.
class RequestTrace {
 public:
  /// A request begins. `exporter` may be null: then traces are only passed on, and named in logs.
  void begin(const codec::Http1RequestView& head, TraceExport* exporter, Rng& rng);
  /// An attempt begins: appends the lines of its trace context. `client` is the head of begin().
  void begin_attempt(std::string& lines, const codec::Http1RequestView& client, std::string_view upstream, TimePoint now, Rng& rng);
  /// It ended. `error`: a text that stays, empty if all went well.
  void end_attempt(int status, std::string_view error, TimePoint now);
  /// The request has ended: its spans go to the exporter. `unix_ms`: the time at `now`.
  void end(const telemetry::AccessRecord& record, TimePoint arrived, TimePoint now, std::int64_t unix_ms);

  /// 32 hex digits, until the next begin().
  [[nodiscard]] std::string_view trace_id() const { return {trace_id_.data(), trace_id_.size()}; }
  [[nodiscard]] bool sampled() const { return context_.sampled; }

 private:
  struct Attempt {
    telemetry::SpanId span_id{};
    std::string upstream;
    TimePoint start{};
    TimePoint end{};
    int status = 0;
    std::string_view error{};
  };

  TraceExport* exporter_ = nullptr;
  telemetry::TraceContext context_;
  std::optional<telemetry::SpanId> parent_;
  std::array<char, 32> trace_id_{};
  std::vector<Attempt> attempts_;  ///< of a sampled request
};

}  // namespace flexpert::gateway
