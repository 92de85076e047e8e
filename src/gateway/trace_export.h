#pragma once

#include <memory>
#include <string>

#include "net/event_loop.h"
#include "telemetry/metrics.h"
#include "telemetry/otlp.h"
#include "web_client/web_client.h"

namespace flexpert::gateway {

struct TraceExportOptions {
  std::string url;        ///< of a collector, http(s)://HOST:PORT; /v1/traces is added where no path is given
  double share = 0.01;    ///< of the requests whose client does not sample
  std::string instance{}; ///< tells gateways apart
};

/// Sends spans of requests to an OpenTelemetry collector, once a second. A collector that does not answer costs spans, which are
/// counted, and nothing else. Belongs to the loop's thread.
class TraceExport {
 public:
  TraceExport(net::EventLoop& loop, TraceExportOptions options, telemetry::Registry& registry);
  ~TraceExport();
  TraceExport(const TraceExport&) = delete;
  TraceExport& operator=(const TraceExport&) = delete;

  [[nodiscard]] double share() const { return options_.share; }
  void add(const telemetry::AccessRecord& record, const telemetry::RequestSpan& request) { spans_.add(record, request); }
  /// Sends what there is now, if nothing is under way.
  void flush();

 private:
  void send(std::string body, telemetry::SpanExporter::Sent sent);
  void tick();

  net::EventLoop& loop_;
  TraceExportOptions options_;
  telemetry::Counter exported_;
  telemetry::Counter dropped_;
  std::uint64_t told_exported_ = 0;
  std::uint64_t told_dropped_ = 0;
  web_client::WebClient client_;
  telemetry::SpanExporter spans_;  // before the client in dying
  net::TimerId timer_ = 0;
  bool complained_ = false;
};

}  // namespace flexpert::gateway
