#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/pools_config.h"
#include "fleet/pool_snapshot.h"
#include "http/message.h"
#include "net/event_loop.h"

namespace flexpert::controller {

/// An instance that may be asked for its metrics.
struct SensedInstance {
  InstanceId id;
  InstanceState state = InstanceState::kStarting;
  std::string address;  ///< "HOST:PORT" or "unix:PATH"; empty: not known, then it is not asked

  bool operator==(const SensedInstance&) const = default;
};

/// Watches all pools: scrapes instances, asks Prometheus, takes what gateways report, each pool as its
/// `sensors.source` says. It works by itself, from timers; the pool loop tells it who there is and reads what is known.
/// Whatever is not known or cannot be so (NaN, negative) is absent and named in a condition; nothing is invented. Belongs
/// to the loop's thread; the loop and the clock outlive it.
///
/// Names in PoolObservation::metrics and PoolInstance::metrics are those of docs/reference/metrics-sources.md.
class PoolSensors {
 public:
  /// Begins to watch. Errors: a URL of Prometheus that cannot be one, a token file that cannot be read, an engine or a
  /// source that is not known; each names its field.
  static Result<std::unique_ptr<PoolSensors>> create(net::EventLoop& loop, const Clock& clock, const config::PoolsConfig& config);
  ~PoolSensors();
  PoolSensors(const PoolSensors&) = delete;
  PoolSensors& operator=(const PoolSensors&) = delete;

  /// Tells who a pool's instances are now. Cheap when nothing changed; call it on every change of state and each cycle,
  /// also with an empty list. Pools that the configuration does not know are ignored.
  void set_instances(const PoolId& pool, std::vector<SensedInstance> instances);

  /// Fills `observation.traffic`, `observation.metrics` and, for each of `observation.instances` (whose ids and states are
  /// the caller's), in_flight, queued, remaining_tokens and metrics, with their ages as of now. Returns what could not be
  /// seen: "prometheus_unreachable", "prometheus_query_failed", "scrape_failed", "no_gateway_reports",
  /// "gateway_report_stale", "metric_invalid", "metric_missing".
  [[nodiscard]] std::vector<Reason> fill(PoolObservation& observation);

  /// Answers POST /internal/gateway-report (docs/reference/internal-api.md): 204, or 400 with what is wrong.
  http::Response take_gateway_report(const http::Request& request);
  /// Calls `listener` when a gateway begins to hold requests of a pool that has no ready instance: a cycle should run now.
  void on_demand(std::function<void(const PoolId&)> listener);

 private:
  struct Impl;
  explicit PoolSensors(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The `model` that requests name for a pool: its configured name, or the checkpoint's folder, or else the pool's id.
std::string model_name_of(const config::PoolLaunchConfig& launch, const PoolId& pool);

}  // namespace flexpert::controller
