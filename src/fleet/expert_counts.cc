#include "fleet/expert_counts.h"

#include <cmath>

namespace flexpert {

Result<void> validate(const ExpertCounts& counts) {
  if (counts.geometry.layers == 0 || counts.geometry.experts == 0)
    return fail(ErrorCode::kInvalidArgument, "expert counts: need at least one layer and one expert: {} x {}", counts.geometry.layers,
                counts.geometry.experts);
  if (counts.count.size() != counts.geometry.size())
    return fail(ErrorCode::kInvalidArgument, "expert counts: need one number per (layer, expert): {} wanted, {} given", counts.geometry.size(),
                counts.count.size());
  for (std::size_t i = 0; i < counts.count.size(); ++i) {
    if (std::isfinite(counts.count[i]) && counts.count[i] >= 0) continue;
    const ExpertSlot slot = counts.geometry.slot(i);
    return fail(ErrorCode::kInvalidArgument, "expert counts: layer {} expert {}: a count must be finite and not negative: {}", slot.layer,
                slot.expert, counts.count[i]);
  }
  return {};
}

}  // namespace flexpert
