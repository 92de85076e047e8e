#include "telemetry/otlp.h"

#include <algorithm>

#include "telemetry/json_line.h"

namespace flexpert::telemetry {
namespace {

/// Values of opentelemetry.proto.trace.v1.Span.SpanKind and Status.StatusCode.
constexpr std::string_view kServer = "2";
constexpr std::string_view kClient = "3";
constexpr std::string_view kErrorStatus = ",\"status\":{\"code\":2}";

constexpr int kFirstServerError = 500;

/// Appends one span; attributes follow the semantic conventions of OpenTelemetry where these have a name.
class SpanWriter {
 public:
  SpanWriter(std::string& out, const TraceId& trace, const SpanId& span, const std::optional<SpanId>& parent) : out_(out) {
    out_ += "{\"traceId\":\"";
    append_id(trace);
    out_ += "\",\"spanId\":\"";
    append_id(span);
    if (parent) {
      out_ += "\",\"parentSpanId\":\"";
      append_id(*parent);
    }
    out_ += '"';
  }
  void begin(std::string_view kind, std::string_view name_before, std::string_view name, std::int64_t start_ns, std::int64_t end_ns) {
    out_ += ",\"kind\":";
    out_ += kind;
    out_ += ",\"name\":";
    append_text(fmt::format("{} {}", name_before, name));
    // 64-bit integers are texts in proto3's JSON.
    out_ += fmt::format(",\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\",\"attributes\":[", std::max<std::int64_t>(start_ns, 0),
                        std::max<std::int64_t>(std::max(start_ns, end_ns), 0));
  }
  void text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    open(key);
    out_ += "{\"stringValue\":";
    append_text(value);
    out_ += "}}";
  }
  void number(std::string_view key, std::uint64_t value) {
    open(key);
    out_ += fmt::format("{{\"intValue\":\"{}\"}}}}", value);
  }
  void end(bool failed) {
    out_ += ']';
    if (failed) out_ += kErrorStatus;
    out_ += '}';
  }

 private:
  template <class Id>
  void append_id(const Id& id) {
    const std::size_t at = out_.size();
    out_.resize(at + 2 * id.size());
    write_hex(id, out_.data() + at);
  }
  void append_text(std::string_view value) {
    const std::size_t at = out_.size();
    out_.resize(at + json_line::kLargestText);
    out_.resize(static_cast<std::size_t>(json_line::put_text(out_.data() + at, value) - out_.data()));
  }
  void open(std::string_view key) {
    out_ += first_ ? "{\"key\":\"" : ",{\"key\":\"";
    first_ = false;
    out_ += key;
    out_ += "\",\"value\":";
  }

  std::string& out_;
  bool first_ = true;
};

void append_request(std::string& out, const AccessRecord& record, const RequestSpan& request) {
  SpanWriter span(out, request.context.trace_id, request.context.span_id, request.parent);
  span.begin(kServer, record.method, record.path, request.start_unix_ns, request.end_unix_ns);
  span.text("http.request.method", record.method);
  span.text("http.route", record.path);
  span.number("http.response.status_code", static_cast<std::uint64_t>(std::max(record.status, 0)));
  span.number("http.request.body.size", record.request_bytes);
  span.number("http.response.body.size", record.response_bytes);
  span.text("network.peer.address", record.peer);
  span.text("gen_ai.request.model", record.model);
  if (record.prompt_tokens > 0) span.number("gen_ai.usage.input_tokens", record.prompt_tokens);
  if (record.completion_tokens > 0) span.number("gen_ai.usage.output_tokens", record.completion_tokens);
  span.text("flexpert.request_id", record.request_id);
  span.text("flexpert.tenant", record.tenant);
  span.text("flexpert.outcome", record.outcome);
  span.text("flexpert.degraded", record.degraded);
  span.number("flexpert.queue_us", record.queue_us);
  span.number("flexpert.ttft_us", record.ttft_us);
  const bool failed = record.status >= kFirstServerError;
  if (failed) span.text("error.type", record.reason.empty() ? record.outcome : record.reason);
  span.end(failed);
}

void append_attempt(std::string& out, const AccessRecord& record, const RequestSpan& request, const AttemptSpan& attempt,
                    std::uint64_t number) {
  SpanWriter span(out, request.context.trace_id, attempt.span_id, request.context.span_id);
  span.begin(kClient, record.method, record.path, attempt.start_unix_ns, attempt.end_unix_ns);
  span.text("http.request.method", record.method);
  span.text("server.address", attempt.upstream);
  if (attempt.status > 0) span.number("http.response.status_code", static_cast<std::uint64_t>(attempt.status));
  if (number > 0) span.number("http.request.resend_count", number);
  span.text("error.type", attempt.error);
  span.end(!attempt.error.empty() || attempt.status >= kFirstServerError);
}

}  // namespace

bool is_sampled(const std::optional<TraceContext>& client, double share, Rng& rng) {
  return (client && client->sampled) || rng.uniform() < share;
}

SpanExporter::SpanExporter(SpanExporterOptions options, Sink sink)
    : options_(std::move(options)), sink_(std::move(sink)), self_(std::make_shared<SpanExporter*>(this)) {}

SpanExporter::~SpanExporter() = default;

void SpanExporter::add(const AccessRecord& record, const RequestSpan& request) {
  const std::size_t spans = 1 + request.attempts.size();
  if (waiting_.size() >= options_.max_waiting_bytes) {
    dropped_ += spans;
    return;
  }
  if (!waiting_.empty()) waiting_ += ',';
  append_request(waiting_, record, request);
  std::uint64_t number = 0;
  for (const AttemptSpan& attempt : request.attempts) {
    waiting_ += ',';
    append_attempt(waiting_, record, request, attempt, number++);
  }
  waiting_spans_ += spans;
  if (waiting_.size() >= options_.batch_bytes) flush();
}

void SpanExporter::flush() {
  if (under_way_ || waiting_.empty()) return;
  std::string body = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[";
  const auto attribute = [&](std::string_view key, std::string_view value) {
    std::string text(json_line::kLargestText, '\0');
    text.resize(static_cast<std::size_t>(json_line::put_text(text.data(), value) - text.data()));
    body += fmt::format("{{\"key\":\"{}\",\"value\":{{\"stringValue\":{}}}}}", key, text);
  };
  attribute("service.name", options_.service);
  if (!options_.instance.empty()) {
    body += ',';
    attribute("service.instance.id", options_.instance);
  }
  body += "]},\"scopeSpans\":[{\"scope\":{\"name\":\"flexpert\"},\"spans\":[";
  body += waiting_;
  body += "]}]}]}";
  const std::size_t spans = std::exchange(waiting_spans_, 0);
  waiting_.clear();
  under_way_ = true;
  sink_(std::move(body), [weak = std::weak_ptr<SpanExporter*>(self_), spans](bool taken) {
    if (const auto self = weak.lock()) (*self)->done(spans, taken);
  });
}

void SpanExporter::done(std::size_t spans, bool taken) {
  (taken ? exported_ : dropped_) += spans;
  under_way_ = false;
  if (waiting_.size() >= options_.batch_bytes) flush();
}

}  // namespace flexpert::telemetry
