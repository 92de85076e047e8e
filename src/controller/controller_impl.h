#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "controller/actuator.h"
#include "controller/api.h"
#include "controller/capacity_probe.h"
#include "controller/controller.h"
#include "controller/controller_metrics.h"
#include "controller/fleet_book.h"
#include "controller/json_caller.h"
#include "controller/placement_json.h"
#include "controller/placement_keeper.h"
#include "controller/plan.h"
#include "controller/pool_loop.h"
#include "controller/rebalance.h"
#include "controller/sensors.h"
#include "controller/server_rows.h"
#include "scaling/load_accumulator.h"
#include "store/journal.h"

namespace flexpert::controller {

/// The control loop's state and steps; see controller.h. controller.cc holds its life, cycle.cc its decisions,
/// balance_cycle.cc what is moved for balance alone.
struct Controller::Impl {
  Impl(net::EventLoop& event_loop, ControllerOptions given, platform::Orchestrator& port, const Clock& time, telemetry::Registry& metrics);
  ~Impl();

  Result<void> start();
  Result<void> start_pools();
  void drain(Duration deadline, std::move_only_function<void()> done);
  [[nodiscard]] bool ready();
  [[nodiscard]] FleetSnapshot snapshot();
  [[nodiscard]] StatusExtras extras();

  // Its life: controller.cc
  void tick();
  void on_change(const platform::Observed& observed);
  void instance_ready(Member& member);
  void instance_failed(Member& member, bool was_in_table);
  void instance_gone(const InstanceId& id);
  void drain_step();
  void changed();

  // Its decisions: cycle.cc
  void on_readings(std::vector<Reading> readings);
  [[nodiscard]] bool take(const Reading& reading);
  void measure_capacity();
  void repair_soon();
  void repair();
  void decide(std::optional<scaling::LoadWindow> window);
  [[nodiscard]] PlanInput plan_input(std::optional<scaling::LoadWindow> window);
  void carry_out(Plan plan, bool scaled);
  void act(Plan& plan);
  void publish(RoutingTable table, const std::string& cause);
  void record(std::vector<Action> actions, bool acted, std::uint64_t epoch);
  void settle_drains();
  void update_metrics();

  // Balance: balance_cycle.cc
  void measure_servers();
  void balance(bool window_closed);
  [[nodiscard]] bool may_rebalance();
  RebalanceReport rebalance(RebalanceInput wish, bool dry_run);
  [[nodiscard]] http::Response asked_rebalance(bool dry_run);
  [[nodiscard]] http::Response placement_view();
  void count_moves(const std::vector<ReplicaMove>& moves, const std::string& cause);
  void update_placement_metrics();

  [[nodiscard]] const config::ModelConfig* model() const { return options.config.model ? &*options.config.model : nullptr; }
  [[nodiscard]] double capacity() const;

  net::EventLoop& loop;
  ControllerOptions options;
  platform::Orchestrator& orchestrator;
  const Clock& clock;
  telemetry::Registry& registry;

  FleetBook book;
  JsonCaller caller;
  Sensors sensors;
  CapacityProbe capacity_probe;
  std::optional<ServerRows> server_rows;  ///< only with options.hello
  Actuator actuator;
  std::unique_ptr<store::Journal> journal;
  std::unique_ptr<Api> api;
  std::unique_ptr<PoolLoop> pools;  ///< only with options.config.pools

  scaling::ExpertUtilisationOptions scaling_options;
  scaling::ExpertUtilisationState loads;
  std::optional<scaling::ExpertForecast> expert_forecast;  ///< absent: switched off
  std::optional<scaling::LoadAccumulator> accumulator;
  PlacementKeeper keeper;
  std::map<InstanceId, std::uint64_t> last_steps;  ///< of each model server, as it said
  std::uint64_t steps = 0;                         ///< of all of them, over restarts too
  ExpertGeometry geometry;
  std::deque<std::pair<TimePoint, std::uint32_t>> servers_wanted;  ///< by recent measurements
  double measured_capacity = 0;
  std::string capacity_source;
  bool model_paced = false;

  std::uint64_t cycle = 0;
  std::optional<Decision> last_decision;
  std::map<std::string, TimePoint> dry_plans;  ///< told lately, so that dry-run does not repeat itself
  std::vector<Action> pending_failures;  ///< crashes that the next decision tells of
  std::optional<TimePoint> model_ready_at;
  net::TimerId tick_timer = 0;
  net::TimerId repair_timer = 0;
  std::uint64_t revision = 0;

  bool draining = false;
  bool api_draining = false;
  net::TimerId drain_timer = 0;
  std::move_only_function<void()> drained;

  ControllerMetrics metric;
  std::optional<TimePoint> published_at;
  std::optional<TimePoint> rebalance_began;  ///< of the one whose table is on its way
  std::optional<RebalanceReport> last_rebalance;
};

}  // namespace flexpert::controller
