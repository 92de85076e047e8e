// Any bytes as an expert map of vLLM: an error, or a map that becomes a valid layout and that our own writers give back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/vllm_expert_map.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  using namespace flexpert::codec;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::uint32_t layers : {0U, 2U}) {
    const auto map = parse_vllm_expert_map(text, layers);
    if (!map) continue;
    if (layers != 0 && map->layers != layers) std::abort();
    const auto layout = layout_of(*map, map->devices == 0 ? 1 : 0);
    if (!layout || !validate(*layout)) std::abort();
    const auto plain = parse_vllm_expert_map(*write_vllm_expert_map(*layout));
    const auto ascend = parse_vllm_expert_map(*write_ascend_expert_map(*layout));
    if (!plain || !ascend || plain->expert_of_slot != map->expert_of_slot || ascend->devices != layout->devices()) std::abort();
  }
  return 0;
}
