#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "config/fleet_config.h"
#include "fleet/fleet_snapshot.h"
#include "flexpert/controller_host.h"
#include "flexpert/loop_thread.h"
#include "flexpert/runtime_folder.h"
#include "gateway/gateway.h"
#include "net/address.h"

namespace flexpert::app {

/// A configuration whose runtime folder and pack exist.
struct PreparedFleet {
  config::FleetConfig config;
  RuntimeFolder folder;
  PoolHosting pools{};
};

/// Makes the runtime folder, and the pack with progress on stderr, which can take minutes: signals should still kill the
/// process. Errors: another fleet listens on the gateway's address, no such model.
/// `config_path` is the file of `config`.
Result<PreparedFleet> prepare_fleet(config::FleetConfig config, const std::string& config_path);

/// A whole fleet inside this process: the gateway on a thread of its own, the controller with its child processes on
/// another. A configuration with neither a model nor pools has no controller. Made, used and destroyed by one thread, whose loop must not
/// be one of the two.
class EmbeddedFleet {
 public:
  /// Launches the processes, begins to listen and writes state.json. The fleet need not be ready yet.
  static Result<std::unique_ptr<EmbeddedFleet>> start(PreparedFleet prepared, const std::string& config_path);
  /// Kills what still runs.
  ~EmbeddedFleet();
  EmbeddedFleet(const EmbeddedFleet&) = delete;
  EmbeddedFleet& operator=(const EmbeddedFleet&) = delete;

  [[nodiscard]] const net::Address& gateway_address() const { return gateway_address_; }
  /// Where the gateway's /health, /ready and /metrics are; empty if nowhere.
  [[nodiscard]] const std::optional<net::Address>& metrics_address() const { return metrics_address_; }
  [[nodiscard]] const std::optional<net::Address>& controller_address() const { return controller_address_; }
  [[nodiscard]] const RuntimeFolder& folder() const { return folder_; }
  [[nodiscard]] const config::FleetConfig& config() const { return config_; }
  /// Returns what the controller sees; empty without one.
  [[nodiscard]] FleetSnapshot snapshot();

  /// Calls `then` on `loop` once a request would be answered, or with why that does not come about (a process that keeps
  /// crashing, `timeout` passed). Without a controller, once the gateway listens.
  void when_ready(net::EventLoop& loop, Duration timeout, std::function<void(Result<void>)> then);
  /// Has the gateway read its keys, policy and certificates anew, and open its logs anew.
  void reload();
  /// Lets the gateway finish its requests, then stops all processes, both within the configuration's shutdown deadline.
  /// Calls `done` on `loop`.
  void shutdown(net::EventLoop& loop, std::function<void()> done);

 private:
  explicit EmbeddedFleet(PreparedFleet prepared)
      : config_(std::move(prepared.config)), folder_(std::move(prepared.folder)), pools_(std::move(prepared.pools)) {}
  Result<void> start_controller();
  Result<void> start_gateway();
  Result<bool> is_ready();
  /// Tells whether a fleet without any instance is as configured: pools that come up from zero.
  [[nodiscard]] bool may_be_empty() const;

  config::FleetConfig config_;
  RuntimeFolder folder_;
  PoolHosting pools_;
  net::Address gateway_address_;
  std::optional<net::Address> metrics_address_;
  std::optional<net::Address> controller_address_;
  SystemClock clock_;
  telemetry::Registry gateway_metrics_;
  LoopThread controller_thread_;
  LoopThread gateway_thread_;
  std::unique_ptr<ControllerHost> controller_;  // of controller_thread_
  std::unique_ptr<gateway::Gateway> gateway_;   // of gateway_thread_
};

}  // namespace flexpert::app
