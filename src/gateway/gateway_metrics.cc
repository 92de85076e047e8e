#include "gateway/gateway_metrics.h"

#include <algorithm>

namespace flexpert::gateway {

GatewayMetrics::GatewayMetrics(telemetry::Registry& registry)
    : registry_(registry),
      in_flight_(registry.gauge("flexpert_gateway_in_flight", "Requests that clients wait for")),
      controller_connected_(registry.gauge("flexpert_gateway_controller_connected", "1 while the controller's fleet is followed")),
      ttft_(registry.histogram("flexpert_gateway_ttft_seconds", "From a streamed request's arrival to its first piece",
                               telemetry::latency_bounds_s())),
      itl_(registry.histogram("flexpert_gateway_itl_seconds", "Between two pieces of a stream", telemetry::latency_bounds_s())),
      route_latency_(registry.histogram("flexpert_gateway_route_seconds", "Answered calls of /route", telemetry::latency_bounds_s())),
      downgrades_(registry.counter("flexpert_gateway_route_downgrades_total", "Calls of /route that went on without a forbidden expert")),
      connections_(registry.gauge("flexpert_gateway_connections", "Connections of clients")) {}

void GatewayMetrics::set_connections(std::size_t connections) { connections_.set(static_cast<double>(connections)); }

void GatewayMetrics::count_request(const std::string& route, int status) {
  const auto key = std::pair(route, status);
  auto counter = requests_.find(key);
  if (counter == requests_.end())
    counter = requests_.emplace(key, registry_.counter("flexpert_gateway_requests_total", "Requests by route and status",
                                                       {{"route", route}, {"status", std::to_string(status)}})).first;
  counter->second.add();
}

void GatewayMetrics::count_retry(const std::string& reason) {
  auto counter = retries_.find(reason);
  if (counter == retries_.end())
    counter = retries_.emplace(reason, registry_.counter("flexpert_gateway_retries_total", "Requests sent once more, by reason",
                                                         {{"reason", reason}})).first;
  counter->second.add();
}

void GatewayMetrics::count_group(const std::string& group, const std::string& outcome) {
  const auto key = std::pair(group, outcome);
  auto counter = groups_.find(key);
  if (counter == groups_.end())
    counter = groups_.emplace(key, registry_.counter("flexpert_gateway_route_experts_total", "Expert groups run by /route",
                                                     {{"group", group}, {"outcome", outcome}})).first;
  counter->second.add();
}

void GatewayMetrics::set_upstream_ready(const std::string& upstream, bool ready) {
  registry_.gauge("flexpert_gateway_upstream_ready", "1 while the upstream takes requests", {{"upstream", upstream}}).set(ready ? 1 : 0);
}

void GatewayMetrics::forget_upstream(const std::string& upstream) {
  registry_.remove_gauge("flexpert_gateway_upstream_ready", {{"upstream", upstream}});
}

Answer::Answer(http::Responder responder, GatewayMetrics& metrics, std::string route)
    : responder_(std::move(responder)), metrics_(metrics), route_(std::move(route)) {
  metrics_.add_in_flight(1);
}

Answer::~Answer() {
  metrics_.add_in_flight(-1);
  metrics_.count_request(route_, status_);
}

void Answer::respond(http::Response response) {
  status_ = response.status;
  responder_.respond(std::move(response));
}

void Answer::start(int status, http::Headers headers) {
  status_ = status;
  responder_.start(status, std::move(headers));
}

}  // namespace flexpert::gateway
