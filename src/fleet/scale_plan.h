#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "fleet/decision.h"

/// What the pool planner concludes.
namespace flexpert {

enum class PoolActionKind {
  kStart,     ///< `count` new instances
  kActivate,  ///< a warm instance takes requests from now on
  kDrain,     ///< an instance takes no new request, finishes its work within the deadline and goes
  kCancel,    ///< an instance that is not ready yet goes at once
  kResize,    ///< an instance gets other threads or KV blocks, live
};
const char* name_of(PoolActionKind kind);

struct PoolAction {
  PoolActionKind kind = PoolActionKind::kStart;
  InstanceId instance;             ///< empty for kStart
  std::uint32_t count = 1;         ///< for kStart
  bool warm = false;               ///< kStart: into the warm pool
  std::optional<std::uint32_t> threads;    ///< kResize
  std::optional<std::uint32_t> kv_blocks;  ///< kResize
  std::vector<Reason> reasons;

  bool operator==(const PoolAction&) const = default;
};

/// One pool's share of a plan. Counts are of instances that serve or will: starting and ready ones.
struct PoolPlan {
  PoolId pool;
  std::uint32_t current = 0;   ///< starting and ready
  std::uint32_t ready = 0;
  std::uint32_t wanted = 0;    ///< by its policies, within its limits, stabilised
  std::uint32_t granted = 0;   ///< of the GPU budget: where it goes
  std::uint32_t target = 0;    ///< after this cycle's actions; differs from granted while GPUs are being released
  std::uint32_t warm = 0;      ///< wanted in the warm pool
  std::vector<PoolAction> actions;
  std::vector<Reason> reasons;     ///< why `wanted` is what it is, and what changed it on the way to `target`
  std::vector<Reason> conditions;  ///< what keeps the planner from seeing or acting as it should ("metrics_stale")

  bool operator==(const PoolPlan&) const = default;
};

struct ScalePlan {
  std::uint64_t cycle = 0;
  std::int64_t unix_ms = 0;
  std::uint32_t gpus_held = 0;     ///< by all instances before the actions, draining ones included
  std::uint32_t gpus_after = 0;    ///< once the actions are settled
  std::vector<PoolPlan> pools;     ///< in the snapshot's order
  std::vector<Reason> conditions;  ///< of the fleet as a whole

  bool operator==(const ScalePlan&) const = default;
};

}  // namespace flexpert
