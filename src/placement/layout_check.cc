#include "placement/layout_check.h"

namespace flexpert::placement {

Result<void> check_in_force(const ExpertLayout& layout, const ExpertCluster& cluster, ExpertGeometry geometry) {
  if (layout.geometry != geometry)
    return fail(ErrorCode::kInvalidArgument, "the layout in force has {} layers x {} experts, the counts {} x {}", layout.geometry.layers,
                layout.geometry.experts, geometry.layers, geometry.experts);
  if (layout.devices() != cluster.devices.size())
    return fail(ErrorCode::kInvalidArgument, "the layout in force has {} devices, the cluster {}", layout.devices(),
                cluster.devices.size());
  for (std::size_t d = 0; d < layout.devices(); ++d)
    if (layout.slots_of_device[d] != cluster.devices[d].slots)
      return fail(ErrorCode::kInvalidArgument, "device {} has {} slots in the layout in force, {} in the cluster", d,
                  layout.slots_of_device[d], cluster.devices[d].slots);
  const std::size_t slots = layout.slots();
  if (layout.expert_of_slot.size() != slots * geometry.layers)
    return fail(ErrorCode::kInvalidArgument, "the layout in force needs {} layers x {} slots: {} entries given", geometry.layers, slots,
                layout.expert_of_slot.size());
  for (std::size_t i = 0; i < layout.expert_of_slot.size(); ++i) {
    const std::int32_t expert = layout.expert_of_slot[i];
    if (expert != kEmptySlot && (expert < 0 || static_cast<std::uint32_t>(expert) >= geometry.experts))
      return fail(ErrorCode::kInvalidArgument, "the layout in force: layer {} slot {}: no expert {}: the model has 0 to {}", i / slots,
                  i % slots, expert, geometry.experts - 1);
  }
  return {};
}

}  // namespace flexpert::placement
