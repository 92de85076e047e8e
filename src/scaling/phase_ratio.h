#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fleet/pool_snapshot.h"

namespace flexpert::scaling {

/// One pool on the way to its grant.
struct PhasePool {
  std::string deployment;      ///< empty: it keeps no ratio
  PoolRole role = PoolRole::kAggregated;
  std::uint32_t asked = 0;     ///< by its policies, before its maximum cut it
  std::uint32_t allowed = 0;   ///< after its maximum and the budget
  std::uint32_t min = 0;
  std::uint32_t current = 0;   ///< starting and ready
};

/// What a pool is lowered to because the other side of its deployment is capped.
struct PhaseCap {
  std::uint32_t allowed = 0;
  std::optional<std::size_t> because_of;  ///< the side that is capped
};

/// Keeps the ratio of a deployment's prefill and decode pools: where one side is allowed less than it asked for, the other
/// keeps only that share of what it asked for, never less than its minimum and never more than it was allowed. Where the
/// share is no whole number a pool may keep what it has up to the next one above, but grows only to the one below (to one
/// instance at least): the share changes with every step of either side, and must not start and stop instances each time.
/// Where several pools of a deployment have one role, the most restricted one counts.
std::vector<PhaseCap> keep_phase_ratio(std::span<const PhasePool> pools);

}  // namespace flexpert::scaling
