#include "gateway/probe_listener.h"

#include <string>
#include <utility>

#include "codec/http1.h"
#include "gateway/refusals.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kMostConnections = 256;

}  // namespace

ProbeListener::ProbeListener(net::EventLoop& loop, GatewayMetrics& metrics, Answers answers)
    : metrics_(metrics), answers_(std::move(answers)), inbound_(loop, {.max_body_bytes = 4096, .max_connections = kMostConnections}, *this) {}

void ProbeListener::on_request(http::InboundExchange& exchange) {
  const RouteEntry* route = find_route(Listener::kProbes, exchange.head().path());
  std::string fields;
  if (route != nullptr && takes(*route, exchange.head().method)) {
    const http::Response response = answers_(route->endpoint);
    metrics_.count_request(route, response.status);
    for (const auto& [name, value] : response.headers.fields()) codec::append_http1_field(fields, name, value);
    return exchange.respond(response.status, fields, response.body);
  }
  const Refusal refusal = route == nullptr ? no_such_path(exchange.head().path()) : wrong_method(route->path, route->methods);
  metrics_.count_request(route, refusal.status);
  append_refusal_fields(fields, refusal);
  if (route != nullptr) codec::append_http1_field(fields, "Allow", route->methods);
  exchange.respond(refusal.status, fields, refusal_body(refusal));
}

}  // namespace flexpert::gateway
