#pragma once

#include <cstdint>

#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "scaling/planner_pool_state.h"
#include "scaling/planner_wish.h"
#include "scaling/staging.h"

namespace flexpert::scaling {

/// One pool's way from what it has to what it was granted, in two steps: what it gives up and activates, which needs no
/// GPUs, and, once all pools have done that, what starts.
struct PoolMoves {
  StagedPool staged;             ///< after the first step
  std::uint32_t released = 0;    ///< instances that go, those that were going already included
};

/// Cancels what is not ready in time, gives up what is over the grant, activates warm instances and those on the way into
/// the warm pool, gives up warm ones that are too many, and proposes other sizes. Adds to `plan` and notes it in `state`.
PoolMoves first_moves(const PoolConfig& config, const PoolObservation& pool, const PoolWish& wish, std::uint32_t granted,
                      std::uint32_t warm, std::int64_t unix_ms, double interval_s, PlannerPoolState& state, PoolPlan& plan);

/// Adds the starts, and says what waits and for what. `free` is the GPUs that were free before any start of this cycle.
void add_starts(const PoolMoves& moves, const StagedStarts& starts, std::uint64_t free, std::int64_t unix_ms, PlannerPoolState& state,
                PoolPlan& plan);

}  // namespace flexpert::scaling
