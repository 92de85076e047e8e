// Any bytes as what SGLang takes for --init-expert-location: an error, the word, valid counts, or a map that becomes a
// valid layout on one device and that our own writers give back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/expert_location.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  using namespace flexpert::codec;
  const auto location = parse_expert_location({reinterpret_cast<const char*>(data), size});
  if (!location) return 0;
  if (const auto* counts = std::get_if<ExpertCounts>(&*location); counts != nullptr && !validate(*counts)) std::abort();
  const auto* map = std::get_if<SlotMap>(&*location);
  if (map == nullptr) return 0;
  for (const std::uint32_t devices : {1U, 2U, 3U}) {
    const auto layout = layout_of(*map, devices);
    if (layout.has_value() != (map->slots % devices == 0)) std::abort();
    if (!layout) continue;
    if (!validate(*layout)) std::abort();
    for (const auto& text : {write_expert_location_json(*layout), write_expert_location_pt(*layout)})
      if (!text || *parse_expert_location(*text) != *location) std::abort();
  }
  return 0;
}
