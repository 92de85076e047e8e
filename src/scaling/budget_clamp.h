#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

/// The budget clamps of the classic planner, for those who come from it. Our own budget is gpu_budget.h. Source of the
/// rules: ai-dynamo/dynamo, planner, budget unit tests. Negative bounds are absent ones.
namespace flexpert::scaling {

struct GpuBand {
  std::int64_t min = -1;  ///< < 0: no floor
  std::int64_t max = -1;  ///< < 0: no ceiling
};

/// Returns the largest positive entry: how far a total of whole instances may miss a floor; 0 without any.
std::int64_t band_tolerance(std::span<const std::int64_t> gpus_per_instance);

/// Tells whether `total` is at most the ceiling and at least the floor minus `tolerance`. The ceiling has no tolerance.
bool within_band(std::int64_t total, GpuBand band, std::int64_t tolerance);

/// One side of a prefill and decode pair.
struct ClampSide {
  std::int64_t instances = 0;
  std::int64_t gpus_per_instance = 1;
  std::int64_t min = 1;
};

/// Brings prefill and decode into the band in proportion. Over the ceiling: both shrink, prefill rounded down, decode gets
/// what is left; {0, 0} if the minima do not fit. Under the floor (by more than the tolerance, where both bounds are set):
/// both grow, rounded up; from nothing the floor is halved. Unchanged where growing would pass the ceiling, where there
/// is no bound, or where an instance has no GPUs. Never over the ceiling.
std::pair<std::int64_t, std::int64_t> clamp_pair(ClampSide prefill, ClampSide decode, GpuBand band);

/// The same for one pool; 0 if its minimum does not fit under the ceiling.
std::int64_t clamp_single(ClampSide pool, GpuBand band);

}  // namespace flexpert::scaling
