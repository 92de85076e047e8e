#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/slot_map.h"
#include "fleet/expert_layout.h"

/// Expert maps of vLLM: its `physical_to_logical_map` as bare JSON arrays, and the file that vLLM on Ascend devices takes
/// for `expert_map_path`: {"moe_layer_count", "layer_list": [{"layer_id", "device_count", "device_list": [{"device_id",
/// "device_expert": [experts]}]}]}.
namespace flexpert::codec {

/// Reads [slots], the same for each of `layers` (0: one layer), or [layers][slots], or the Ascend form, which says how
/// many devices there are. Errors name layer and slot, or layer and device: another nesting, no expert, an expert without
/// a slot, `layers` that differ, unknown keys, devices with different numbers of experts.
Result<SlotMap> parse_vllm_expert_map(std::string_view text, std::uint32_t layers = 0);

/// Writes [layers][slots]. Errors: empty slots, devices with different numbers of slots.
Result<std::string> write_vllm_expert_map(const ExpertLayout& layout);

/// Writes the Ascend form. Errors as above.
Result<std::string> write_ascend_expert_map(const ExpertLayout& layout);

}  // namespace flexpert::codec
