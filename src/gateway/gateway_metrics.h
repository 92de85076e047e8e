#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "gateway/answer.h"
#include "gateway/route_table.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// The status under which a request is counted whose client went away first (nginx's convention).
inline constexpr int kClientGone = 499;

/// The gateway's series in one Registry, handles kept. Labels are the gateway's own words, never a client's text. Belongs to the
/// loop's thread.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(telemetry::Registry& registry);

  /// Counts an answered request; `route` null: a path that is not ours.
  void count_request(const RouteEntry* route, int status);
  /// Counts a message that is not HTTP as we take it.
  void count_malformed(int status);
  void count_authentication_failure() { authentication_failures_.add_alone(); }
  void count_retry(std::string_view reason);
  /// A retry that the budget did not allow.
  void count_retry_refused() { retries_refused_.add_alone(); }
  void count_degraded(std::string_view step);
  void count_group(const std::string& group, const std::string& outcome);
  void set_upstream_ready(const std::string& upstream, bool ready);
  void forget_upstream(const std::string& upstream);
  void add_in_flight(double change) { in_flight_.add_alone(change); }
  [[nodiscard]] double in_flight() const { return in_flight_.value(); }
  void observe_ttft(Duration duration) { ttft_.observe_alone(to_seconds(duration)); }
  void observe_itl(Duration duration) { itl_.observe_alone(to_seconds(duration)); }
  void observe_route(Duration duration) { route_latency_.observe_alone(to_seconds(duration)); }
  void count_downgrade() { downgrades_.add_alone(); }
  void set_connections(std::size_t connections);
  void set_controller_connected(bool connected) { controller_connected_.set(connected ? 1 : 0); }

 private:
  using ByStatus = std::vector<std::pair<int, telemetry::Counter>>;
  using ByWord = std::map<std::string, telemetry::Counter, std::less<>>;
  void count(ByWord& counters, std::string_view word, const char* name, const char* help, const char* label);

  telemetry::Registry& registry_;
  std::array<ByStatus, kRouteTable.size() + 1> requests_;  ///< the last: of paths that are not ours
  ByStatus malformed_;
  ByWord retries_;
  ByWord degraded_;
  std::map<std::pair<std::string, std::string>, telemetry::Counter> groups_;
  telemetry::Counter authentication_failures_;
  telemetry::Counter retries_refused_;
  telemetry::Gauge in_flight_;
  telemetry::Gauge controller_connected_;
  telemetry::Histogram ttft_;
  telemetry::Histogram itl_;
  telemetry::Histogram route_latency_;
  telemetry::Counter downgrades_;
  telemetry::Gauge connections_;
};

}  // namespace flexpert::gateway
