#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "scaling/pool_config.h"
#include "scaling/shadow_score.h"

namespace flexpert::scaling {

/// Another way to plan: some pools have other policies, the rest those of the live planner.
struct ShadowOptions {
  std::string name;
  std::map<std::string, std::vector<PolicyConfig>> policies;  ///< pool -> its policies in this shadow
};

/// One shadow's standing in one pool.
struct ShadowPoolStanding {
  PoolId pool;
  std::uint32_t count = 0;   ///< instances that it would run now
  std::uint32_t ready = 0;   ///< of those
  ShadowScore score;
  ShadowScore live;          ///< of the live planner over the same cycles
  std::vector<Reason> reasons;  ///< of its newest plan
};

struct ShadowStanding {
  std::string name;
  std::vector<ShadowPoolStanding> pools;
};

/// Runs whole planners with other policies beside the live one, on the same snapshots, and scores all of them. Nothing is
/// carried out: each shadow has instances of its own that exist on paper only. They become ready after the pool's measured
/// start-up time; traffic is the live pool's; what an instance measures ("cpu", "utilisation", any metric of its own) and
/// the work on it are spread anew over the shadow's ready instances, as live use * live ready / its ready. That is exact for
/// load that spreads evenly and good for comparing counts; latencies stay the live pool's, so that a policy that goes by
/// them is scored by what the live pool did. Deterministic, single-threaded.
class ShadowPlanner {
 public:
  /// Errors: as PoolPlanner::create(), with the shadow's name; kInvalidArgument for a pool that is not configured.
  static Result<std::unique_ptr<ShadowPlanner>> create(const PlannerConfig& live, const std::vector<ShadowOptions>& shadows);
  virtual ~ShadowPlanner() = default;
  /// Takes the cycle that the live planner has just planned.
  virtual void observe(const PoolsSnapshot& snapshot, const ScalePlan& live) = 0;
  [[nodiscard]] virtual std::vector<ShadowStanding> standings() const = 0;
  [[nodiscard]] virtual std::string save() const = 0;
  /// Errors: kDataLoss; then the shadows are as new.
  virtual Result<void> restore(const std::string& state) = 0;
};

}  // namespace flexpert::scaling
