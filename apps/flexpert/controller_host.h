#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "config/fleet_config.h"
#include "controller/controller.h"
#include "flexpert/pool_hosting.h"
#include "net/event_loop.h"
#include "platform/local_processes.h"

namespace flexpert::app {

/// A controller with what it stands on: local processes, clock, metrics. Belongs to the loop's thread, which must live as
/// long as the processes do.
class ControllerHost {
 public:
  /// Starts the processes of `config` and the controller's API. `runtime_dir` exists and is absolute. `pack_file` counts for
  /// a configuration with a model.
  static Result<std::unique_ptr<ControllerHost>> start(net::EventLoop& loop, const config::FleetConfig& config, const std::string& runtime_dir,
                                                       const std::string& pack_file, const PoolHosting& pools = {});
  [[nodiscard]] controller::Controller& controller() { return *controller_; }
  /// Returns the socket from which gateways of pools accept clients.
  Result<net::UniqueFd> gateway_socket(const std::string& address) { return processes_.shared_socket(address); }

 private:
  ControllerHost(net::EventLoop& loop, platform::LocalProcessesOptions options) : processes_(loop, std::move(options)) {}

  SystemClock clock_;
  telemetry::Registry metrics_;
  platform::LocalProcesses processes_;
  std::unique_ptr<controller::Controller> controller_;
};

/// Returns the path of this very program.
Result<std::string> own_program();

}  // namespace flexpert::app
