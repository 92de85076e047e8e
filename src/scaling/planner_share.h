#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fleet/decision.h"
#include "scaling/planner_wish.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// One pool before the budget is split.
struct PoolAsk {
  const PoolConfig* config = nullptr;
  const PoolWish* wish = nullptr;
  std::uint32_t reachable = 0;      ///< more it cannot get now: after failed start-ups it tries one at a time
};

/// What one pool gets.
struct PoolShare {
  std::uint32_t granted = 0;
  std::uint32_t warm = 0;
  std::vector<Reason> reasons;      ///< "budget_limited", "phase_ratio", "failing_limited"
};

struct FleetShare {
  std::vector<PoolShare> pools;     ///< in the order of the asks
  bool minima_fit = true;
};

/// Divides the GPUs: serving instances first by split_budget(), prefill and decode in proportion, then warm instances from
/// what is left. Without a budget everyone gets what it wants.
FleetShare share_gpus(std::span<const PoolAsk> asks, std::optional<std::uint32_t> gpu_budget);

}  // namespace flexpert::scaling
