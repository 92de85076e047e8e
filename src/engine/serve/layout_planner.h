#pragma once

#include <cstdint>
#include <optional>

#include "engine/serve/eplb_options.h"
#include "fleet/placement_plan.h"
#include "placement/rebalance.h"
#include "placement/recorder.h"

namespace flexpert::engine {

/// Plans the placement of a model server anew from windows of counts, by the algorithm of its options. One thread.
class LayoutPlanner {
 public:
  /// What a window led to.
  struct Decision {
    Reason reason;                      ///< as placement::RebalanceDecision
    double utilisation = 1;             ///< of the layout in force under the window
    std::optional<PlacementPlan> plan;
  };

  static Result<LayoutPlanner> create(const ExpertLayout& layout, const EplbOptions& options, std::uint64_t bytes_per_expert);
  /// Takes the counts of the `steps` steps since the window before.
  Result<Decision> observe(const placement::RecordedWindow& window, std::uint64_t steps);
  /// Tells that a plan's layout is in force.
  Result<void> adopt(const ExpertLayout& layout) { return rebalancer_.adopt(layout); }

 private:
  LayoutPlanner(placement::Rebalancer rebalancer, const EplbOptions& options, std::uint64_t bytes_per_expert)
      : rebalancer_(std::move(rebalancer)), options_(options), bytes_per_expert_(bytes_per_expert) {}
  Result<Decision> plan_from_scratch(const ExpertCounts& window, std::uint64_t steps);

  placement::Rebalancer rebalancer_;
  EplbOptions options_;
  std::uint64_t bytes_per_expert_;
  ExpertCounts gathered_;     // from scratch: since the last plan
  std::uint64_t steps_ = 0;
};

}  // namespace flexpert::engine
