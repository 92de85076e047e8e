#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// Plans all pools under one GPU budget: forecast, policies, combination, stabilisation, budget, staging, victims.
/// Deterministic: the same configuration, state and snapshots give the same plans bit for bit. Single-threaded.
class PoolPlanner {
 public:
  /// Errors: as validate().
  static Result<std::unique_ptr<PoolPlanner>> create(PlannerConfig config);
  virtual ~PoolPlanner() = default;
  /// Plans one cycle. Snapshots come in ascending time, one an interval; pools that the configuration does not know are
  /// ignored, pools that the snapshot lacks get no actions and a condition.
  [[nodiscard]] virtual ScalePlan plan(const PoolsSnapshot& snapshot) = 0;
  /// Says that the newest plan was not carried out (dry run): the planner does not wait for its starts and drains to show.
  virtual void note_not_acted() = 0;
  /// Returns everything that later plans depend on.
  [[nodiscard]] virtual std::string save() const = 0;
  /// Continues from save() of a planner with the same pools; a pool that is new since starts afresh, one that is gone is
  /// forgotten. Errors: kDataLoss; then the planner is as new.
  virtual Result<void> restore(const std::string& state) = 0;
  [[nodiscard]] virtual const PlannerConfig& config() const = 0;
};

}  // namespace flexpert::scaling
