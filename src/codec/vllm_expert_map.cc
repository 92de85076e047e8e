#include "codec/vllm_expert_map.h"

#include <algorithm>

#include "codec/ascend_expert_map.h"
#include "codec/json_array.h"
#include "codec/slot_map_text.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kWhat = "vLLM expert map";

Result<SlotMap> parse_rows(std::string_view text, std::uint32_t layers) {
  FLEXPERT_ASSIGN(NumberArray array, parse_json_array(text, kWhat));
  if (array.shape.size() == 1) {
    const std::size_t slots = array.values.size();
    const std::size_t copies = std::max<std::uint32_t>(layers, 1);
    FLEXPERT_TRY(element_count({copies, slots}, kWhat));
    array.values.resize(copies * slots);
    for (std::size_t i = slots; i < array.values.size(); ++i) array.values[i] = array.values[i - slots];
    array.shape = {copies, slots};
  }
  return slot_map_of(array, kWhat);
}

}  // namespace

Result<SlotMap> parse_vllm_expert_map(std::string_view text, std::uint32_t layers) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool object = first != std::string_view::npos && text[first] == '{';
  FLEXPERT_ASSIGN(SlotMap map, object ? parse_ascend_expert_map(text) : parse_rows(text, layers));
  if (layers != 0 && map.layers != layers)
    return fail(ErrorCode::kInvalidArgument, "{}: has {} layers, not {}", kWhat, map.layers, layers);
  return map;
}

Result<std::string> write_vllm_expert_map(const ExpertLayout& layout) {
  FLEXPERT_ASSIGN(const SlotMap map, slot_map_of(layout));
  std::string out;
  append_rows(out, map);
  return out += '\n';
}

Result<std::string> write_ascend_expert_map(const ExpertLayout& layout) {
  FLEXPERT_ASSIGN(const SlotMap map, slot_map_of(layout));
  const std::uint32_t per_device = map.slots / map.devices;
  std::string out = fmt::format(R"({{"moe_layer_count":{},"layer_list":[)", map.layers);
  for (std::uint32_t layer = 0; layer < map.layers; ++layer) {
    out += fmt::format(R"({}{{"layer_id":{},"device_count":{},"device_list":[)", layer == 0 ? "" : ",", layer, map.devices);
    for (std::uint32_t device = 0; device < map.devices; ++device) {
      out += fmt::format(R"({}{{"device_id":{},"device_expert":)", device == 0 ? "" : ",", device);
      append_experts(out, map.layer(layer).subspan(static_cast<std::size_t>(device) * per_device, per_device));
      out += '}';
    }
    out += "]}";
  }
  return out += "]}\n";
}

}  // namespace flexpert::codec
