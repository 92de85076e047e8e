#include "gateway/gateway_metrics.h"

#include <algorithm>

namespace flexpert::gateway {

GatewayMetrics::GatewayMetrics(telemetry::Registry& registry)
    : registry_(registry),
      authentication_failures_(registry.counter("flexpert_gateway_authentication_failures_total", "Requests whose credentials were not good")),
      retries_refused_(registry.counter("flexpert_gateway_retries_refused_total", "Retries that the budget did not allow")),
      in_flight_(registry.gauge("flexpert_gateway_in_flight", "Requests that clients wait for")),
      controller_connected_(registry.gauge("flexpert_gateway_controller_connected", "1 while the controller's fleet is followed")),
      ttft_(registry.histogram("flexpert_gateway_ttft_seconds", "From a streamed request's arrival to its first piece",
                               telemetry::latency_bounds_s())),
      itl_(registry.histogram("flexpert_gateway_itl_seconds", "Between two pieces of a stream", telemetry::latency_bounds_s())),
      route_latency_(registry.histogram("flexpert_gateway_route_seconds", "Answered calls of /route", telemetry::latency_bounds_s())),
      downgrades_(registry.counter("flexpert_gateway_route_downgrades_total", "Calls of /route that went on without a forbidden expert")),
      connections_(registry.gauge("flexpert_gateway_connections", "Connections of clients")) {}

void GatewayMetrics::set_connections(std::size_t connections) { connections_.set(static_cast<double>(connections)); }

void GatewayMetrics::count_request(const RouteEntry* route, int status) {
  ByStatus& counters = requests_[route != nullptr ? static_cast<std::size_t>(route - kRouteTable.data()) : kRouteTable.size()];
  for (const auto& [known, counter] : counters)
    if (known == status) return counter.add_alone();
  const std::string path(route != nullptr ? route->path : kOtherPath);
  counters.emplace_back(status, registry_.counter("flexpert_gateway_requests_total", "Requests by route and status",
                                                  {{"route", path}, {"status", std::to_string(status)}}));
  counters.back().second.add_alone();
}

void GatewayMetrics::count_malformed(int status) {
  for (const auto& [known, counter] : malformed_)
    if (known == status) return counter.add_alone();
  malformed_.emplace_back(status, registry_.counter("flexpert_gateway_malformed_total", "Messages that are not HTTP as it is taken here",
                                                    {{"status", std::to_string(status)}}));
  malformed_.back().second.add_alone();
}

void GatewayMetrics::count(ByWord& counters, std::string_view word, const char* name, const char* help, const char* label) {
  auto counter = counters.find(word);
  if (counter == counters.end()) counter = counters.emplace(word, registry_.counter(name, help, {{label, std::string(word)}})).first;
  counter->second.add_alone();
}

void GatewayMetrics::count_retry(std::string_view reason) {
  count(retries_, reason, "flexpert_gateway_retries_total", "Requests sent once more, by reason", "reason");
}

void GatewayMetrics::count_degraded(std::string_view step) {
  count(degraded_, step, "flexpert_gateway_degraded_total", "Requests that were changed because of load, by step", "step");
}

void GatewayMetrics::count_group(const std::string& group, const std::string& outcome) {
  const auto key = std::pair(group, outcome);
  auto counter = groups_.find(key);
  if (counter == groups_.end())
    counter = groups_.emplace(key, registry_.counter("flexpert_gateway_route_experts_total", "Expert groups run by /route",
                                                     {{"group", group}, {"outcome", outcome}})).first;
  counter->second.add_alone();
}

void GatewayMetrics::set_upstream_ready(const std::string& upstream, bool ready) {
  registry_.gauge("flexpert_gateway_upstream_ready", "1 while the upstream takes requests", {{"upstream", upstream}}).set(ready ? 1 : 0);
}

void GatewayMetrics::forget_upstream(const std::string& upstream) {
  registry_.remove_gauge("flexpert_gateway_upstream_ready", {{"upstream", upstream}});
}

}  // namespace flexpert::gateway
