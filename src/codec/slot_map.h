#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/number_array.h"
#include "fleet/expert_layout.h"

/// Expert maps as engines exchange them: which logical expert each physical slot holds, mostly without saying which
/// device has which slots.
namespace flexpert::codec {

/// A physical-to-logical map: [layers][slots], every slot filled, every expert somewhere in every layer.
struct SlotMap {
  std::uint32_t layers = 0;
  std::uint32_t slots = 0;    ///< of each layer
  std::uint32_t devices = 0;  ///< as the file says, the slots spread evenly; 0: it does not say
  std::vector<std::int32_t> expert_of_slot;

  [[nodiscard]] std::span<const std::int32_t> layer(std::uint32_t index) const {
    return std::span(expert_of_slot).subspan(static_cast<std::size_t>(index) * slots, slots);
  }
  /// Returns one more than the highest expert.
  [[nodiscard]] std::uint32_t experts() const;
  bool operator==(const SlotMap&) const = default;
};

/// Makes a map of an array [layers][slots]. Errors: another rank, a number that is no expert, an expert that a layer has
/// nowhere; the message begins with `what` and names layer and slot.
Result<SlotMap> slot_map_of(const NumberArray& array, std::string_view what);

/// Returns the map as an array [layers][slots].
NumberArray array_of(const SlotMap& map);

/// Spreads the slots over devices. `devices` 0: as the map says; `experts` 0: as many as the map shows. Errors: slots that
/// do not divide, a number of devices that is not given or contradicts the map, an expert that is missing or too much.
Result<ExpertLayout> layout_of(const SlotMap& map, std::uint32_t devices, std::uint32_t experts = 0);

/// Takes the devices out of a layout. Errors: an empty slot, or devices with different numbers of slots, for which engines
/// have no way to write; the message names layer and slot, or the device.
Result<SlotMap> slot_map_of(const ExpertLayout& layout);

}  // namespace flexpert::codec
