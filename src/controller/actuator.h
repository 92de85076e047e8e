#pragma once

#include <functional>

#include "controller/controller.h"
#include "controller/fleet_book.h"
#include "controller/json_caller.h"
#include "fleet/routing_table.h"

namespace flexpert::controller {

/// Carries things out: launches and stops processes, and brings the routing table in force to every model server.
/// Belongs to the loop's thread.
class Actuator {
 public:
  /// `on_settled` runs each time a model server has taken the table in force; `on_failure` when one has not.
  Actuator(const ControllerOptions& options, platform::Orchestrator& orchestrator, FleetBook& book, JsonCaller& caller,
           std::function<void()> on_settled, std::function<void(const Error&)> on_failure);

  Result<InstanceId> launch_model_server();
  Result<InstanceId> launch_expert_server();
  /// Asks a process to go for good.
  void stop(Member& member);

  /// Makes `table` the one in force and sends it out.
  void publish(RoutingTable table);
  /// Sends the table in force to each ready model server that has not got it. Call again to retry.
  void push();
  [[nodiscard]] const RoutingTable& table() const { return table_; }
  /// True when every ready model server works by the table in force.
  [[nodiscard]] bool settled() const;

 private:
  Result<InstanceId> launch(InstanceRole role, platform::LaunchSpec spec, const std::string& address);
  void send_to(Member& member);
  void answered(const InstanceId& id, std::int64_t pid, std::uint64_t sent, Result<std::string> answer);

  const ControllerOptions& options_;
  platform::Orchestrator& orchestrator_;
  FleetBook& book_;
  JsonCaller& caller_;
  std::function<void()> on_settled_;
  std::function<void(const Error&)> on_failure_;
  RoutingTable table_;
  std::string encoded_;
};

}  // namespace flexpert::controller
