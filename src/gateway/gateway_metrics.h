#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "http/message.h"
#include "http/server.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// The gateway's series in one Registry, handles kept. Belongs to the loop's thread.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(telemetry::Registry& registry);

  /// Counts an answered request. `route` is one of the gateway's own paths or "other", never a client's text.
  void count_request(const std::string& route, int status);
  void count_retry(const std::string& reason);
  void count_group(const std::string& group, const std::string& outcome);
  void set_upstream_ready(const std::string& upstream, bool ready);
  void forget_upstream(const std::string& upstream);
  void add_in_flight(double change) { in_flight_.add(change); }
  [[nodiscard]] double in_flight() const { return in_flight_.value(); }
  void observe_ttft(Duration duration) { ttft_.observe(to_seconds(duration)); }
  void observe_itl(Duration duration) { itl_.observe(to_seconds(duration)); }
  void observe_route(Duration duration) { route_latency_.observe(to_seconds(duration)); }
  void count_downgrade() { downgrades_.add(); }
  void set_connections(std::size_t connections);
  void set_controller_connected(bool connected) { controller_connected_.set(connected ? 1 : 0); }

 private:
  telemetry::Registry& registry_;
  std::map<std::pair<std::string, int>, telemetry::Counter> requests_;
  std::map<std::string, telemetry::Counter> retries_;
  std::map<std::pair<std::string, std::string>, telemetry::Counter> groups_;
  telemetry::Gauge in_flight_;
  telemetry::Gauge controller_connected_;
  telemetry::Histogram ttft_;
  telemetry::Histogram itl_;
  telemetry::Histogram route_latency_;
  telemetry::Counter downgrades_;
  telemetry::Gauge connections_;
};

/// The status under which a request is counted whose client went away first (nginx's convention).
inline constexpr int kClientGone = 499;

/// One client's request from arrival to its end: counts it as in flight, and counts its outcome exactly once, also if
/// it is dropped without an answer.
class Answer {
 public:
  Answer(http::Responder responder, GatewayMetrics& metrics, std::string route);
  Answer(Answer&&) = delete;
  Answer& operator=(Answer&&) = delete;
  ~Answer();

  void respond(http::Response response);
  void start(int status, http::Headers headers);
  /// The client's side, for write(), finish() and so on after start().
  [[nodiscard]] http::Responder& stream() { return responder_; }

 private:
  http::Responder responder_;
  GatewayMetrics& metrics_;
  std::string route_;
  int status_ = kClientGone;
};

}  // namespace flexpert::gateway
