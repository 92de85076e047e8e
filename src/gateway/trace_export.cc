#include "gateway/trace_export.h"

#include <utility>

#include "base/log.h"

namespace flexpert::gateway {
namespace {

constexpr Duration kPeriod = Seconds(1);
constexpr Duration kTimeout = Seconds(10);
constexpr std::string_view kTracesPath = "/v1/traces";
constexpr const char* kSpans = "flexpert_gateway_spans_total";
constexpr const char* kSpansHelp = "Spans of traced requests, by what became of them";

std::string with_path(std::string url) {
  const std::size_t scheme = url.find("://");
  const std::size_t path = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  if (path != std::string::npos && path + 1 < url.size()) return url;
  if (path != std::string::npos) url.pop_back();
  return url.append(kTracesPath);
}

}  // namespace

TraceExport::TraceExport(net::EventLoop& loop, TraceExportOptions options, telemetry::Registry& registry)
    : loop_(loop),
      options_(std::move(options)),
      exported_(registry.counter(kSpans, kSpansHelp, {{"outcome", "exported"}})),
      dropped_(registry.counter(kSpans, kSpansHelp, {{"outcome", "dropped"}})),
      client_(loop),
      spans_({.instance = options_.instance},
             [this](std::string body, telemetry::SpanExporter::Sent sent) { send(std::move(body), std::move(sent)); }) {
  options_.url = with_path(std::move(options_.url));
  tick();
}

TraceExport::~TraceExport() { loop_.cancel(timer_); }

void TraceExport::flush() {
  spans_.flush();
  exported_.add(static_cast<double>(spans_.exported() - std::exchange(told_exported_, spans_.exported())));
  dropped_.add(static_cast<double>(spans_.dropped() - std::exchange(told_dropped_, spans_.dropped())));
}

void TraceExport::tick() {
  flush();
  timer_ = loop_.call_after(kPeriod, [this] { tick(); });
}

void TraceExport::send(std::string body, telemetry::SpanExporter::Sent sent) {
  web_client::WebRequest request;
  request.method = "POST";
  request.url = options_.url;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  request.timeout = kTimeout;
  client_.send(std::move(request), [this, sent = std::move(sent)](Result<web_client::WebAnswer> answer) mutable {
    const bool taken = answer && answer->status >= 200 && answer->status < 300;
    if (!taken && !std::exchange(complained_, true))
      log::warn("spans are lost: the collector at {} {}", options_.url,
                answer ? fmt::format("answered {}", answer->status) : answer.error().message);
    if (taken) complained_ = false;
    sent(taken);
  });
}

}  // namespace flexpert::gateway
