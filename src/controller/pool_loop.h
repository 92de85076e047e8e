#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "codec/webhook_messages.h"
#include "controller/pool_fleet.h"
#include "controller/pool_limits.h"
#include "controller/pool_metrics.h"
#include "controller/pool_sensors.h"
#include "http/message.h"
#include "scaling/pool_planner.h"
#include "scaling/shadow_planner.h"
#include "store/plan_journal.h"

namespace flexpert::controller {

using MakePlanner = std::function<Result<std::unique_ptr<scaling::PoolPlanner>>(scaling::PlannerConfig)>;

struct PoolLoopOptions {
  PoolFleetOptions fleet;
  std::string journal;            ///< path
  std::string config_text;        ///< of the whole configuration, for replay
  std::string config_source;      ///< its file
  std::string version;
  bool dry_run = false;
  std::uint64_t kept_cycles = 50000;       ///< of the journal, at least
  std::uint64_t checkpoint_cycles = 500;   ///< between two records with the planner's state
  MakePlanner make_planner;
};

/// The loop of the pool planner: every interval it looks, plans, writes down and acts. It goes on from where the journal's
/// last commit was. Belongs to the loop's thread; the references outlive it.
class PoolLoop {
 public:
  /// Opens the journal, restores, takes over running instances and plans the first cycle at once. Errors: a configuration
  /// that the planner refuses, a journal that is not ours, sensors that cannot be set up.
  static Result<std::unique_ptr<PoolLoop>> create(net::EventLoop& loop, const Clock& clock, telemetry::Registry& registry,
                                                  const config::PoolsConfig& config, PoolLoopOptions options,
                                                  platform::Orchestrator& orchestrator, JsonCaller& caller, std::function<void()> on_change);
  ~PoolLoop();
  PoolLoop(const PoolLoop&) = delete;
  PoolLoop& operator=(const PoolLoop&) = delete;

  [[nodiscard]] PoolFleet& fleet() { return *fleet_; }
  /// True once every pool has its least number of ready instances (of a gateway's or webhook's pool, too).
  [[nodiscard]] bool ready() const;
  /// Plans no more and stops all instances.
  void stop_all();

  // The API: docs/reference/internal-api.md, Pools.
  [[nodiscard]] std::string status_json() const;
  http::Response newest_plans(std::size_t limit);
  http::Response change_limits(std::string_view pool, std::string_view body);
  http::Response change_budget(std::string_view body);
  http::Response take_gateway_report(const http::Request& request) { return sensors_->take_gateway_report(request); }
  http::Response take_webhook_progress(const http::Request& request);
  [[nodiscard]] std::string prometheus_targets() const;

 private:
  PoolLoop(net::EventLoop& loop, const Clock& clock, telemetry::Registry& registry, const config::PoolsConfig& config, PoolLoopOptions options);
  Result<void> start(platform::Orchestrator& orchestrator, JsonCaller& caller, std::function<void()> on_change);
  Result<void> restore();
  void cycle();
  void cycle_soon();
  [[nodiscard]] PoolsSnapshot look();
  void note(const PoolsSnapshot& snapshot, const ScalePlan& plan, const std::string& state_before);
  [[nodiscard]] std::string shadows_json() const;
  [[nodiscard]] store::PlanJournal::State state() const;
  void save_state(std::vector<store::PlanRow> rows);
  [[nodiscard]] store::PlanRow start_row(const std::string& kind, const std::string& planner_state) const;

  net::EventLoop& loop_;
  const Clock& clock_;
  const config::PoolsConfig& config_;
  PoolLoopOptions options_;
  PoolLimitsBook limits_;
  PoolMetrics metrics_;
  std::unique_ptr<store::PlanJournal> journal_;
  std::unique_ptr<scaling::PoolPlanner> planner_;
  std::unique_ptr<scaling::ShadowPlanner> shadows_;  ///< only if there are any
  std::unique_ptr<platform::WebhookOrchestrator> webhook_;
  std::unique_ptr<PoolFleet> fleet_;
  std::unique_ptr<PoolSensors> sensors_;

  std::string config_hash_;
  std::uint64_t cycle_ = 0;
  std::int64_t last_unix_ms_ = 0;
  std::uint64_t since_checkpoint_ = 0;
  PoolsSnapshot snapshot_;                           ///< of the newest cycle
  std::optional<ScalePlan> plan_;
  std::vector<std::vector<Reason>> unseen_;          ///< what the sensors lacked in it, by pool
  std::string standing_;
  TimePoint told_at_{};
  TimePoint cycle_at_{};
  net::TimerId timer_ = 0;
  bool stopped_ = false;
  std::string journal_error_;
  bool cycles_missing_ = false;                      ///< from the journal: its next cycle needs the planner's state before it
};

}  // namespace flexpert::controller
