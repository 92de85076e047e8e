#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert {

/// No logical expert in a physical slot.
inline constexpr std::int32_t kEmptySlot = -1;

/// Which logical expert each physical slot holds: SGLang's `physical_to_logical_map`. Slots of a layer are numbered by
/// device: those of device 0 first. Every layer has the same slots; one that needs fewer leaves some empty.
struct ExpertLayout {
  ExpertGeometry geometry;                      ///< layers, logical experts
  std::vector<std::uint32_t> slots_of_device;   ///< of each layer
  std::vector<std::int32_t> expert_of_slot;     ///< [layers][slots()], logical expert or kEmptySlot

  [[nodiscard]] std::uint32_t slots() const;    ///< of one layer; walks the devices
  [[nodiscard]] std::uint32_t devices() const { return static_cast<std::uint32_t>(slots_of_device.size()); }
  [[nodiscard]] std::span<const std::int32_t> layer(std::uint32_t index) const {
    const std::size_t slots = geometry.layers == 0 ? 0 : expert_of_slot.size() / geometry.layers;
    return std::span(expert_of_slot).subspan(index * slots, slots);
  }
  [[nodiscard]] std::span<std::int32_t> layer(std::uint32_t index) {
    const std::size_t slots = geometry.layers == 0 ? 0 : expert_of_slot.size() / geometry.layers;
    return std::span(expert_of_slot).subspan(index * slots, slots);
  }
  auto operator<=>(const ExpertLayout&) const = default;
};

/// Returns the layout without redundancy or plan: slot s of every layer holds expert s % experts (SGLang's `trivial`).
ExpertLayout trivial_layout(ExpertGeometry geometry, std::vector<std::uint32_t> slots_of_device);

/// Returns the device of every slot of a layer.
std::vector<std::uint32_t> device_of_slots(std::span<const std::uint32_t> slots_of_device);

/// Returns the replicas of every (layer, expert), row-major.
std::vector<std::uint32_t> replica_counts(const ExpertLayout& layout);

/// Checks sizes, range, and that every expert of every layer has a slot; the message names layer and slot.
Result<void> validate(const ExpertLayout& layout);

}  // namespace flexpert
