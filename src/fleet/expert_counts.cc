#include "fleet/expert_counts.h"

namespace flexpert {

Result<void> validate(const ExpertCounts& counts) {
  if (counts.geometry.layers == 0 || counts.geometry.experts == 0)
    return fail(ErrorCode::kInvalidArgument, "expert counts: need at least one layer and one expert: {} x {}", counts.geometry.layers,
                counts.geometry.experts);
  if (counts.count.size() != counts.geometry.size())
    return fail(ErrorCode::kInvalidArgument, "expert counts: need one number per (layer, expert): {} wanted, {} given", counts.geometry.size(),
                counts.count.size());
  for (std::size_t i = 0; i < counts.count.size(); ++i) {
    if (counts.count[i] >= 0 && counts.count[i] <= kMostCount) continue;
    const ExpertSlot slot = counts.geometry.slot(i);
    return fail(ErrorCode::kInvalidArgument, "expert counts: layer {} expert {}: a count must be a number from 0 to {}: {}", slot.layer,
                slot.expert, kMostCount, counts.count[i]);
  }
  return {};
}

}  // namespace flexpert
