#include "codec/slot_map.h"

#include <algorithm>
#include <cmath>

#include "codec/slot_map_text.h"

namespace flexpert::codec {
namespace {

/// Names divisors of `slots` next to `devices`, for a message.
std::string nearest_divisors(std::uint32_t slots, std::uint32_t devices) {
  std::uint32_t below = std::min(devices, slots);
  while (below > 1 && slots % below != 0) --below;
  std::uint32_t above = devices;
  while (above < slots && slots % above != 0) ++above;
  return above >= slots ? fmt::format("{}", below) : fmt::format("{} or {}", below, above);
}

Result<void> check_coverage(const SlotMap& map, std::uint32_t experts, std::string_view what) {
  std::vector<bool> held(experts);
  for (std::uint32_t layer = 0; layer < map.layers; ++layer) {
    std::fill(held.begin(), held.end(), false);
    for (const std::int32_t expert : map.layer(layer)) held[static_cast<std::size_t>(expert)] = true;
    const auto missing = std::find(held.begin(), held.end(), false);
    if (missing != held.end())
      return fail(ErrorCode::kInvalidArgument, "{}: layer {}: expert {} is in none of its {} slots; every expert from 0 to {} needs one",
                  what, layer, missing - held.begin(), map.slots, experts - 1);
  }
  return {};
}

}  // namespace

std::uint32_t SlotMap::experts() const {
  const auto highest = std::max_element(expert_of_slot.begin(), expert_of_slot.end());
  return highest == expert_of_slot.end() ? 0 : static_cast<std::uint32_t>(*highest + 1);
}

Result<SlotMap> slot_map_of(const NumberArray& array, std::string_view what) {
  if (array.shape.size() != 2)
    return fail(ErrorCode::kInvalidArgument, "{}: must be [layers][slots], is {}", what, shape_text(array.shape));
  FLEXPERT_ASSIGN(const std::size_t elements, element_count(array.shape, what));
  if (elements == 0) return fail(ErrorCode::kInvalidArgument, "{}: has no slots: {}", what, shape_text(array.shape));
  SlotMap map{static_cast<std::uint32_t>(array.shape[0]), static_cast<std::uint32_t>(array.shape[1]), 0, {}};
  map.expert_of_slot.reserve(elements);
  for (std::size_t i = 0; i < elements; ++i) {
    const double value = array.values[i];
    // Every expert has a slot in every layer, so there are no more experts than slots.
    if (!(value >= 0 && value < map.slots && std::trunc(value) == value))
      return fail(ErrorCode::kInvalidArgument,
                  "{}: layer {} slot {}: must be an expert, a whole number from 0 to {} (a layer has {} slots), is {}", what, i / map.slots,
                  i % map.slots, map.slots - 1, map.slots, value);
    map.expert_of_slot.push_back(static_cast<std::int32_t>(value));
  }
  FLEXPERT_TRY(check_coverage(map, map.experts(), what));
  return map;
}

NumberArray array_of(const SlotMap& map) {
  return {{map.layers, map.slots}, std::vector<double>(map.expert_of_slot.begin(), map.expert_of_slot.end())};
}

Result<ExpertLayout> layout_of(const SlotMap& map, std::uint32_t devices, std::uint32_t experts) {
  if (devices == 0) devices = map.devices;
  if (devices == 0)
    return fail(ErrorCode::kInvalidArgument, "expert map: does not say how many devices its {} slots are on; give their number", map.slots);
  if (map.devices != 0 && map.devices != devices)
    return fail(ErrorCode::kInvalidArgument, "expert map: is for {} devices, not for {}", map.devices, devices);
  if (map.slots % devices != 0)
    return fail(ErrorCode::kInvalidArgument, "expert map: {} slots a layer do not divide over {} devices; {} would", map.slots, devices,
                nearest_divisors(map.slots, devices));
  const std::uint32_t shown = map.experts();
  if (experts != 0 && shown > experts) {
    const auto at = static_cast<std::size_t>(std::find_if(map.expert_of_slot.begin(), map.expert_of_slot.end(), [&](std::int32_t expert) {
                      return static_cast<std::uint32_t>(expert) >= experts;
                    }) - map.expert_of_slot.begin());
    return fail(ErrorCode::kInvalidArgument, "expert map: layer {} slot {}: no expert {}: the model has 0 to {}", at / map.slots,
                at % map.slots, map.expert_of_slot[at], experts - 1);
  }
  if (experts > map.slots)
    return fail(ErrorCode::kInvalidArgument, "expert map: {} slots a layer cannot hold the model's {} experts", map.slots, experts);
  if (experts > shown) FLEXPERT_TRY(check_coverage(map, experts, "expert map"));
  ExpertLayout layout{
      {map.layers, experts == 0 ? shown : experts}, std::vector<std::uint32_t>(devices, map.slots / devices), map.expert_of_slot};
  FLEXPERT_TRY(validate(layout));
  return layout;
}

Result<SlotMap> slot_map_of(const ExpertLayout& layout) {
  FLEXPERT_TRY(validate(layout));
  const std::uint32_t slots = layout.slots();
  for (std::uint32_t device = 1; device < layout.devices(); ++device)
    if (layout.slots_of_device[device] != layout.slots_of_device[0])
      return fail(ErrorCode::kFailedPrecondition,
                  "expert layout: device {} has {} slots and device 0 has {}: an engine's map has as many on each; plan with equal slots",
                  device, layout.slots_of_device[device], layout.slots_of_device[0]);
  for (std::uint32_t layer = 0; layer < layout.geometry.layers; ++layer)
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      if (layout.layer(layer)[slot] == kEmptySlot)
        return fail(ErrorCode::kFailedPrecondition,
                    "expert layout: layer {} slot {} is empty: an engine's map has no empty slots; plan with as many slots as are used",
                    layer, slot);
  return SlotMap{layout.geometry.layers, slots, layout.devices(), layout.expert_of_slot};
}

void append_experts(std::string& out, std::span<const std::int32_t> experts) {
  out += '[';
  for (std::size_t i = 0; i < experts.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(experts[i]);
  }
  out += ']';
}

void append_rows(std::string& out, const SlotMap& map) {
  out += '[';
  for (std::uint32_t layer = 0; layer < map.layers; ++layer) {
    if (layer > 0) out += ',';
    append_experts(out, map.layer(layer));
  }
  out += ']';
}

}  // namespace flexpert::codec
