#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/model/expert_executor.h"
#include "engine/serve/layout_planner.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

/// What BalancedExperts does with a new table.
struct TableSwap {
  /// Makes a table the one in force; the engine thread, between two steps.
  std::function<Result<void>(std::shared_ptr<const RoutingTable>)> set;
  /// Hears of each table that has taken effect; the engine thread.
  std::function<void(std::shared_ptr<const RoutingTable>)> on_set;
};

/// Counts what the router chooses, has a thread of its own plan anew from it, and swaps the routing table between two
/// steps: the planning costs the engine thread nothing but the counting. Passes all work on to another executor. Belongs to
/// the engine thread.
class BalancedExperts final : public ExpertExecutor {
 public:
  /// `inner` must outlive it. `table` is in force; later ones have its endpoints and the epochs that follow.
  BalancedExperts(ExpertExecutor& inner, LayoutPlanner planner, const EplbOptions& options, const ModelConfig& model,
                  const RoutingTable& table, TableSwap swap, telemetry::Registry& metrics, const Clock& clock);
  ~BalancedExperts() override;

  void begin_step(std::uint64_t step) override;
  void compute(const ExpertBatch& batch) override;

 private:
  struct Metrics {
    explicit Metrics(telemetry::Registry& its_registry);
    telemetry::Registry& registry;
    telemetry::Counter moved_slots, moved_bytes;
    telemetry::Gauge age, expected, measured, bound;
    telemetry::Histogram plan_s;
  };
  /// A window on its way to the planner, or a plan on its way back.
  struct Window {
    placement::RecordedWindow recorded;  ///< parts of some steps each, and their sum
    std::uint64_t steps = 0;
  };
  struct Planned {
    std::shared_ptr<const RoutingTable> table;
    PlacementPlan plan;
  };

  void take_plan();
  void end_part();
  void hand_over();
  void plan_windows();
  std::optional<Planned> plan(const Window& window);

  ExpertExecutor& inner_;
  const EplbOptions options_;
  const ModelConfig model_;
  TableSwap swap_;
  const Clock& clock_;
  Metrics metrics_;

  // The engine thread's.
  Window window_;                ///< parts so far
  ExpertCounts part_;            ///< the newest steps
  std::uint64_t part_steps_;     ///< of a part
  std::uint64_t in_part_ = 0;
  std::uint32_t first_layer_ = 0;
  TimePoint in_force_at_;

  // The planning thread's.
  LayoutPlanner planner_;
  RoutingTable table_;

  std::atomic<bool> idle_{true};      ///< the planner has nothing to do
  std::atomic<bool> planned_any_{false};
  Mutex mutex_;
  Condition changed_;
  std::optional<Window> given_ GUARDED_BY(mutex_);
  std::optional<Planned> planned_ GUARDED_BY(mutex_);
  bool taken_ GUARDED_BY(mutex_) = false;
  bool refused_ GUARDED_BY(mutex_) = false;
  bool closing_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace flexpert::engine
