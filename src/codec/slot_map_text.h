#pragma once

#include <iterator>
#include <string>

#include "codec/slot_map.h"

/// The rows of a map in JSON, for its writers. Private to them.
namespace flexpert::codec {

/// Appends [[0,1,2],[2,0,1]].
inline void append_rows(std::string& out, const SlotMap& map) {
  for (std::uint32_t layer = 0; layer < map.layers; ++layer)
    fmt::format_to(std::back_inserter(out), "{}[{}]", layer == 0 ? "[" : ",", fmt::join(map.layer(layer), ","));
  out += ']';
}

}  // namespace flexpert::codec
