#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "config/fleet_config.h"
#include "gateway/admin_listener.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// Waits that the configuration does not set; tests shorten them.
struct GatewayTimings {
  Duration recovery_wait = Seconds(5);   ///< how long a request waits for a server that is restarting
  Duration expert_timeout = Seconds(2);  ///< of the experts behind /route
  Duration report_period = Seconds(1);   ///< between two reports to the controller
};

/// The data plane: authenticated callers' requests relayed to servers that have the model, and the secure route to experts. Servers
/// come from `config.upstreams` and from the controller at `config.gateway.controller`, if there is one. Belongs to the
/// loop's thread; the loop, the registry and the clock outlive it.
class Gateway {
 public:
  /// Starts health checks and following the controller. Fails on an address that cannot be parsed, on a policy, key set, ladder or log
  /// that cannot be used.
  static Result<std::unique_ptr<Gateway>> create(net::EventLoop& loop, const config::FleetConfig& config, telemetry::Registry& registry,
                                                 const Clock& clock, GatewayTimings timings = {});
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Starts to accept clients on `address`; returns it with the port resolved. May be called for several addresses.
  Result<net::Address> listen(const net::Address& address);
  /// The same on a socket that listens already, which several gateways may share.
  Result<net::Address> listen_on(net::UniqueFd listening);
  /// The same on `config.gateway.listen` and `listeners.also`; returns the first.
  Result<net::Address> listen();
  /// Answers /health, /ready and /metrics on `address`.
  Result<net::Address> listen_for_probes(const net::Address& address);
  /// The same on `config.gateway.listeners.metrics`; nothing if that is empty.
  Result<std::optional<net::Address>> listen_for_probes();
  /// Serves the admin API at `config.gateway.listeners.admin`; nothing if that is empty. `routes` null: those of AdminApi.
  Result<std::optional<net::Address>> listen_for_admin(std::unique_ptr<AdminRoutes> routes = nullptr);

  /// Reads keys, policy and certificates anew, changed or not, and opens the logs anew, after they were moved away: SIGHUP.
  void reload();
  /// Says "not ready", stops accepting, and calls `done` when the last request is over or `deadline` passed.
  void drain(Duration deadline, std::move_only_function<void()> done);
  /// Requests in flight on model servers, expert servers and groups: zero when idle.
  [[nodiscard]] std::uint64_t load() const;
  /// Tells whether a server takes requests now.
  [[nodiscard]] bool ready() const;

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::gateway
