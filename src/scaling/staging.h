#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace flexpert::scaling {

/// One pool as staging sees it. Counts are of instances.
struct StagedPool {
  std::uint32_t gpus_per_instance = 1;
  int priority = 0;
  std::uint32_t held = 0;           ///< that exist or were ordered, in any state: each holds its GPUs
  std::uint32_t serving = 0;        ///< starting and ready, what this cycle takes away or activates counted already
  std::uint32_t granted = 0;        ///< where `serving` is to go
  std::uint32_t may_start = 0;      ///< at most so many more now (back-off after failures)
  std::uint32_t warm = 0;           ///< in the warm pool or on the way into it
  std::uint32_t warm_wanted = 0;
};

struct StagedStarts {
  std::uint32_t serving = 0;
  std::uint32_t warm = 0;
  std::uint32_t waiting = 0;        ///< that would start if GPUs were free
};

/// Says what may start now so that the GPUs of all instances that exist, starting, warm, ready, draining or failed, never
/// pass the budget: only GPUs that are free already are used, never those that are being released. Highest priority first,
/// then the pool that has the smallest share of its grant, then the earlier; an instance that does not fit lets smaller
/// ones pass (their grants leave its GPUs to it in the end). Warm ones start only when no serving one waits.
std::vector<StagedStarts> stage_starts(std::span<const StagedPool> pools, std::optional<std::uint32_t> gpu_budget);

/// Returns the GPUs that all instances hold.
std::uint64_t gpus_held(std::span<const StagedPool> pools);

}  // namespace flexpert::scaling
