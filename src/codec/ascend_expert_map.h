#pragma once

#include <string_view>

#include "base/result.h"
#include "codec/slot_map.h"

namespace flexpert::codec {

/// Reads the Ascend form of vLLM's expert map. Private to vllm_expert_map.cc, which says what it is.
Result<SlotMap> parse_ascend_expert_map(std::string_view text);

}  // namespace flexpert::codec
