#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "codec/slot_map.h"

/// Maps in JSON, for their writers. Private to them.
namespace flexpert::codec {

/// Appends [0,1,2].
void append_experts(std::string& out, std::span<const std::int32_t> experts);

/// Appends [[0,1,2],[2,0,1]].
void append_rows(std::string& out, const SlotMap& map);

}  // namespace flexpert::codec
