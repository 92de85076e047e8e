#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/state_text.h"
#include "config/pools_config.h"
#include "controller/json_caller.h"
#include "controller/pool_launcher.h"
#include "controller/pool_member.h"
#include "controller/pool_sensors.h"
#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "net/event_loop.h"
#include "platform/orchestrator.h"
#include "platform/webhook_orchestrator.h"

namespace flexpert::controller {

struct PoolFleetOptions {
  PoolLauncherOptions launcher;
  Duration drain_grace = Milliseconds(500);  ///< for gateways to hear that an instance takes no more requests
  Duration drain_look = Milliseconds(100);   ///< between two looks whether a draining instance is idle
  Duration launch_pause = Seconds(1);        ///< after a launch that failed; doubles up to longest_launch_pause
  Duration longest_launch_pause = Seconds(60);
};

/// The instances of all pools: who there is, and how a plan is carried out on them. An instance that is drained leaves the
/// gateways' choice at once, goes on serving what still arrives, and is stopped when it has been idle for two looks, or at
/// the pool's drain deadline. Belongs to the loop's thread.
class PoolFleet {
 public:
  /// `webhook` is null unless a pool has that backend. `on_change` runs after every change that gateways should hear of.
  PoolFleet(net::EventLoop& loop, const Clock& clock, const config::PoolsConfig& config, PoolFleetOptions options,
            platform::Orchestrator& orchestrator, platform::WebhookOrchestrator* webhook, JsonCaller& caller, std::function<void()> on_change);
  ~PoolFleet();
  PoolFleet(const PoolFleet&) = delete;
  PoolFleet& operator=(const PoolFleet&) = delete;

  /// Takes over what a predecessor left running, once, after restore(). Instances of pools that are no more are stopped.
  void adopt(const std::vector<platform::Recovered>& recovered);
  /// Takes news of an instance. False if it is not one of a pool.
  bool take(const platform::Observed& observed);
  void take(const codec::WebhookProgress& progress);
  void carry_out(const ScalePlan& plan);
  /// Asks every instance to stop, now.
  void stop_all();
  [[nodiscard]] bool empty() const { return members_.empty(); }

  /// Fills in limits aside what the planner sees of a pool's instances.
  void observe(std::size_t pool, PoolObservation& out) const;
  /// Notes what the sensors made of it.
  void sensed(std::size_t pool, const PoolObservation& observation);
  [[nodiscard]] std::vector<SensedInstance> sensed_instances(std::size_t pool) const;
  [[nodiscard]] std::uint32_t count(std::size_t pool, InstanceState state) const;
  /// What keeps a pool from being as planned: "launch_failed", "instance_failing".
  [[nodiscard]] std::vector<Reason> conditions(std::size_t pool) const;
  /// From start to ready, the 90th percentile of the newest starts; absent before the first.
  [[nodiscard]] std::optional<double> startup_s(std::size_t pool) const;
  void append_to(FleetSnapshot& snapshot) const;

  /// Writes and reads what a successor must know.
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  struct Pool {
    std::uint32_t next_number = 0;
    std::deque<double> startups_s;  ///< the newest
    unsigned launch_failures = 0;   ///< in a row
    TimePoint launch_again_at{};
    std::string launch_error;
    std::uint32_t target = 0;       ///< of the newest plan
  };
  [[nodiscard]] const scaling::PoolConfig& pool_config(std::size_t pool) const { return config_.planner.pools[pool]; }
  [[nodiscard]] bool is_webhook(std::size_t pool) const { return config_.entries[pool].launch.backend == "webhook"; }
  PoolMember* find(const InstanceId& id);
  void act(std::size_t pool, const PoolAction& action);
  void start(std::size_t pool, bool warm);
  void launch(PoolMember& member);
  void launch_again();
  void drain(PoolMember& member);
  void stop(PoolMember& member);
  void resize(const PoolMember& member, const PoolAction& action);
  void set_state(PoolMember& member, InstanceState state);
  void ready(PoolMember& member);
  void gone(const InstanceId& id);
  void look_at_draining();
  void looked(const InstanceId& id, const Result<std::string>& status);
  void tell_webhook(const ScalePlan& plan);

  net::EventLoop& loop_;
  const Clock& clock_;
  const config::PoolsConfig& config_;
  PoolFleetOptions options_;
  platform::Orchestrator& orchestrator_;
  platform::WebhookOrchestrator* webhook_;
  JsonCaller& caller_;
  std::function<void()> on_change_;
  PoolLauncher launcher_;
  std::vector<Pool> pools_;
  std::map<InstanceId, PoolMember> members_;
  std::map<InstanceId, char> remembered_;  ///< of a predecessor's instances: 'w' warm, 'd' draining
  net::TimerId drain_timer_ = 0;
  net::TimerId launch_timer_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace flexpert::controller
