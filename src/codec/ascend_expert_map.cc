#include "codec/ascend_expert_map.h"

#include <algorithm>
#include <initializer_list>

#include "codec/json_numbers.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kWhat = "vLLM expert map";

Result<void> known_keys(simdjson::dom::object object, std::initializer_list<std::string_view> known, std::string_view what) {
  std::string list;
  for (const std::string_view key : known) list += fmt::format("{}{}", list.empty() ? "" : ", ", key);
  for (const auto field : object)
    if (std::find(known.begin(), known.end(), field.key) == known.end())
      return fail(ErrorCode::kInvalidArgument, "{}: unknown key '{}'; known are: {}", what, json_numbers::shown(field.key),
                  list);
  return {};
}

Result<simdjson::dom::array> list_of(const simdjson::dom::object& object, std::string_view key, std::string_view what) {
  FLEXPERT_ASSIGN(const auto element, json_numbers::unique_field(object, key, what));
  simdjson::dom::array array;
  if (element.get(array) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: {} must be an array", what, key);
  return array;
}

/// Checks a number that only repeats what the file's structure says; it may be missing.
Result<void> repeats(const simdjson::dom::object& object, std::string_view key, std::uint64_t wanted, std::string_view what) {
  simdjson::dom::element element;
  if (object.at_key(key).get(element) != simdjson::SUCCESS) return {};
  std::uint64_t value = 0;
  if (element.get(value) != simdjson::SUCCESS || value != wanted)
    return fail(ErrorCode::kInvalidArgument, "{}: {} must be {}", what, key, wanted);
  return {};
}

/// Adds a layer's slots to `array`; the first layer decides how many devices and slots there are.
Result<void> take_layer(simdjson::dom::element item, std::uint64_t layer, NumberArray& array, std::uint32_t& devices) {
  const std::string what = fmt::format("{}: layer {}", kWhat, layer);
  simdjson::dom::object object;
  if (item.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be an object", what);
  FLEXPERT_TRY(known_keys(object, {"layer_id", "device_count", "device_list"}, what));
  FLEXPERT_TRY(repeats(object, "layer_id", layer, what));
  FLEXPERT_ASSIGN(const auto list, list_of(object, "device_list", what));
  std::uint32_t device = 0;
  std::size_t slots = 0;
  for (const simdjson::dom::element entry : list) {
    const std::string place = fmt::format("{} device {}", what, device);
    simdjson::dom::object fields;
    if (entry.get(fields) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be an object", place);
    FLEXPERT_TRY(known_keys(fields, {"device_id", "device_expert"}, place));
    FLEXPERT_TRY(repeats(fields, "device_id", device, place));
    FLEXPERT_ASSIGN(const auto experts, json_numbers::unique_field(fields, "device_expert", place));
    FLEXPERT_ASSIGN(const NumberArray numbers, json_numbers::number_array(experts, place));
    if (numbers.shape.size() != 1) return fail(ErrorCode::kInvalidArgument, "{}: device_expert must be a list of experts", place);
    if (device == 0) slots = numbers.values.size();
    if (numbers.values.size() != slots)
      return fail(ErrorCode::kInvalidArgument, "{}: has {} experts, device 0 has {}: every device must have as many", place,
                  numbers.values.size(), slots);
    array.values.insert(array.values.end(), numbers.values.begin(), numbers.values.end());
    if (array.values.size() > kMaxArrayElements)
      return fail(ErrorCode::kResourceExhausted, "{}: too large: more than {} slots", kWhat, kMaxArrayElements);
    ++device;
  }
  FLEXPERT_TRY(repeats(object, "device_count", device, what));
  if (layer == 0) {
    devices = device;
    array.shape = {0, device * slots};
  }
  if (device != devices || device * slots != array.shape[1])
    return fail(ErrorCode::kInvalidArgument, "{}: has {} devices with {} slots, layer 0 has {} with {}", what, device, device * slots,
                devices, array.shape[1]);
  ++array.shape[0];
  return {};
}

}  // namespace

Result<SlotMap> parse_ascend_expert_map(std::string_view text) {
  simdjson::dom::parser parser;
  FLEXPERT_ASSIGN(const auto root, json_numbers::parse(parser, text, kWhat));
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be an object", kWhat);
  FLEXPERT_TRY(known_keys(object, {"moe_layer_count", "layer_list"}, kWhat));
  FLEXPERT_ASSIGN(const auto list, list_of(object, "layer_list", kWhat));
  NumberArray array{{0, 0}, {}};
  std::uint32_t devices = 0;
  std::uint64_t layer = 0;
  for (const simdjson::dom::element item : list) FLEXPERT_TRY(take_layer(item, layer++, array, devices));
  FLEXPERT_TRY(repeats(object, "moe_layer_count", layer, kWhat));
  FLEXPERT_ASSIGN(SlotMap map, slot_map_of(array, kWhat));
  map.devices = devices;
  return map;
}

}  // namespace flexpert::codec
