#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"
#include "fleet/placement_plan.h"
#include "placement/drift.h"
#include "placement/incremental.h"
#include "placement/rebalance_history.h"

namespace flexpert::placement {

struct RebalanceOptions {
  std::uint64_t interval_steps = 1000;  ///< between plans, unless the load drifts; SGLang's eplb_rebalance_num_iterations
  double least_utilisation = 1.0;       ///< a window above this balancedness is left alone; SGLang's
                                        ///< eplb_min_rebalancing_utilization_threshold; 1: none is
  double drift_factor = 1.6;            ///< of the usual distance, from which a window triggers a plan early; 0: never
  double budget = 0.05;                 ///< share of all slots that one plan may change
  double drift_budget = 0.25;           ///< the same after a drift, and for the first plan
  double least_gain = 0.002;            ///< share of a layer's largest load that a changed slot must save
  std::uint64_t least_tokens = 512;     ///< windows with fewer are put together with the next
  bool splits_freely = true;            ///< the engine sends tokens to the least loaded replica; false: evenly over replicas
  std::uint32_t most_searched = 2048;   ///< devices * slots of a layer up to which plans are made for free splits; larger ones,
                                        ///< where that takes long and even splits come near, are planned for even splits
  HistoryOptions history = {};
  std::uint64_t bytes_per_expert = 0;
  std::optional<Worth> worth = {};      ///< a plan must pay for its moves; without one every gain counts
};

/// Checks every number's range; the message names the field.
Result<void> validate(const RebalanceOptions& options);

/// What became of a window: a plan, or why there is none.
struct RebalanceDecision {
  /// With a plan: "first", "drift", "interval". Without: "too_few_tokens", "interval_not_over", "balanced",
  /// "imbalance_is_free" (with `worth`: at so few tokens a step even layers would save nothing that can be told), "no_better"
  /// (no move gains enough), "not_worthwhile" (the moves cost more than they save).
  Reason reason;
  Drift drift;
  double utilisation = 1;             ///< balancedness of the layout in force under the window (its parts, where it has them)
  std::optional<PlacementPlan> plan;  ///< mode "incremental"; balances are those of the dispatch that the options name
};

/// Decides when an engine's experts are placed anew, and how: fed with windows of counts, it remembers them, tells drift
/// from noise, and plans from the layout in force within a budget for the loads that it expects next. A plan is made from
/// windows seen before only. Deterministic; one thread; no clock: time is counted in steps.
class Rebalancer {
 public:
  /// `layout`: in force; `cluster`: where it is. Errors: what validate() says, a layout that does not fit the cluster.
  static Result<Rebalancer> create(const ExpertLayout& layout, const ExpertCluster& cluster, const RebalanceOptions& options);

  /// Takes the counts of the `steps` steps since the window before. Errors: counts of another geometry or not valid; a
  /// planner's errors. A plan counts as in force only after adopt().
  Result<RebalanceDecision> observe(const RecordedWindow& window, std::uint64_t steps);
  /// Tells the layout in force: a plan's once it is carried out, or another's. Errors: it does not fit the cluster.
  Result<void> adopt(const ExpertLayout& layout);
  /// Tells that devices died, came back or changed; the next window with tokens makes a plan. Errors: other slots than before.
  Result<void> set_cluster(const ExpertCluster& cluster);

  [[nodiscard]] const ExpertLayout& layout() const { return layout_; }
  [[nodiscard]] const ExpertCluster& cluster() const { return cluster_; }

 private:
  Rebalancer(const ExpertLayout& layout, const ExpertCluster& cluster, const RebalanceOptions& options);
  bool gather(const RecordedWindow& window, std::uint64_t steps);
  Result<PlacementPlan> plan(std::uint64_t slots);
  Result<void> plan_for_dispatch(PlacementPlan& plan, std::span<const ExpertCounts> samples, std::uint64_t slots) const;
  [[nodiscard]] std::uint64_t budget(bool large) const;
  [[nodiscard]] Balance balance(const ExpertLayout& layout, std::span<const ExpertCounts> loads) const;
  [[nodiscard]] bool searches() const;
  [[nodiscard]] std::uint32_t parts() const;
  [[nodiscard]] std::uint32_t living() const;
  [[nodiscard]] bool serves_all() const;
  [[nodiscard]] Result<void> check_window(const ExpertCounts& counts) const;
  [[nodiscard]] bool pays(PlacementPlan& plan) const;

  ExpertLayout layout_;
  ExpertCluster cluster_;
  RebalanceOptions options_;
  DriftDetector detector_;
  LoadHistory history_;
  RecordedWindow gathered_;               // windows with too few tokens so far
  std::uint64_t steps_ = 0;               // since the last plan
  bool cluster_changed_ = false;
  std::optional<ExpertCounts> reference_; // the load that the newest plan was made for
};

/// Returns how even a layout is under loads that come one after another, when every expert's load is split over its replicas
/// as well as any split can: what a dispatch to the least loaded replica comes near to. A layer's max_load is the sum of
/// the loads' largest device loads, mean_load that of their means, lower_bound the same. Precondition: as balance_of().
Balance dispatched_balance(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const ExpertCounts> loads);

}  // namespace flexpert::placement
