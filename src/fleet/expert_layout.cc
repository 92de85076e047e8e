#include "fleet/expert_layout.h"

#include <numeric>

namespace flexpert {

std::uint32_t ExpertLayout::slots() const { return std::accumulate(slots_of_device.begin(), slots_of_device.end(), 0U); }

ExpertLayout trivial_layout(ExpertGeometry geometry, std::vector<std::uint32_t> slots_of_device) {
  ExpertLayout out{geometry, std::move(slots_of_device), {}};
  const std::uint32_t slots = out.slots();
  out.expert_of_slot.reserve(static_cast<std::size_t>(geometry.layers) * slots);
  for (std::uint32_t layer = 0; layer < geometry.layers; ++layer)
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      out.expert_of_slot.push_back(geometry.experts == 0 ? kEmptySlot : static_cast<std::int32_t>(slot % geometry.experts));
  return out;
}

std::vector<std::uint32_t> device_of_slots(std::span<const std::uint32_t> slots_of_device) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t device = 0; device < slots_of_device.size(); ++device) out.insert(out.end(), slots_of_device[device], device);
  return out;
}

std::vector<std::uint32_t> replica_counts(const ExpertLayout& layout) {
  std::vector<std::uint32_t> out(layout.geometry.size(), 0);
  for (std::uint32_t layer = 0; layer < layout.geometry.layers; ++layer)
    for (const std::int32_t expert : layout.layer(layer))
      if (expert != kEmptySlot) ++out[layout.geometry.index({layer, static_cast<std::uint32_t>(expert)})];
  return out;
}

Result<void> validate(const ExpertLayout& layout) {
  const ExpertGeometry& geometry = layout.geometry;
  const std::uint32_t slots = layout.slots();
  if (geometry.layers == 0 || geometry.experts == 0 || slots == 0)
    return fail(ErrorCode::kInvalidArgument, "expert layout: needs a layer, an expert and a slot: {} layers, {} experts, {} slots", geometry.layers,
                geometry.experts, slots);
  if (layout.expert_of_slot.size() != static_cast<std::size_t>(geometry.layers) * slots)
    return fail(ErrorCode::kInvalidArgument, "expert layout: needs {} layers x {} slots = {} entries: {} given", geometry.layers, slots,
                static_cast<std::size_t>(geometry.layers) * slots, layout.expert_of_slot.size());
  for (std::uint32_t layer = 0; layer < geometry.layers; ++layer) {
    std::vector<bool> held(geometry.experts, false);
    const auto row = layout.layer(layer);
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      if (row[slot] == kEmptySlot) continue;
      if (row[slot] < 0 || static_cast<std::uint32_t>(row[slot]) >= geometry.experts)
        return fail(ErrorCode::kInvalidArgument, "expert layout: layer {} slot {}: no expert {}: the model has 0 to {}", layer, slot, row[slot],
                    geometry.experts - 1);
      held[static_cast<std::size_t>(row[slot])] = true;
    }
    for (std::uint32_t expert = 0; expert < geometry.experts; ++expert)
      if (!held[expert]) return fail(ErrorCode::kInvalidArgument, "expert layout: layer {}: expert {} is in none of its {} slots", layer, expert, slots);
  }
  return {};
}

}  // namespace flexpert
