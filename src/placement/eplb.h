#pragma once

#include <cstdint>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

struct EplbShape {
  std::uint32_t replicas = 0;  ///< physical experts of a layer
  std::uint32_t groups = 1;    ///< of logical experts, by consecutive numbers
  std::uint32_t nodes = 1;
  std::uint32_t devices = 1;
};

/// Plans as DeepSeek's EPLB does, slot for slot (github.com/deepseek-ai/EPLB, `rebalance_experts`): hierarchical if
/// `groups` divides by `nodes`, else global. Arithmetic is float32 throughout: loads, running sums in the order of
/// placement, divisions; the first maximum and the first lightest pack win, sorting is stable.
/// Errors: sizes that do not divide, fewer replicas than experts.
Result<ExpertLayout> plan_eplb(const ExpertCounts& counts, const EplbShape& shape);

}  // namespace flexpert::placement
