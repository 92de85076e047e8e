#include "flexpert/place_layout.h"

#include <numeric>

#include "codec/expert_location.h"
#include "codec/placement_json.h"
#include "codec/recorder_dump.h"
#include "codec/vllm_expert_map.h"
#include "flexpert/place_cluster.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_engine.h"

namespace flexpert::app {

namespace {

/// Gives the slots of a map to devices, as the map or the command line says.
Result<ExpertLayout> spread(const codec::SlotMap& map, const PlaceClusterOptions& o, std::uint32_t experts) {
  if (!o.device_slots.empty()) {
    const std::uint64_t slots = std::accumulate(o.device_slots.begin(), o.device_slots.end(), std::uint64_t{0});
    if (slots != map.slots)
      return fail(ErrorCode::kInvalidArgument, "--device-slots sum up to {} slots, a layer of the layout has {}", slots, map.slots);
    return ExpertLayout{{map.layers, experts == 0 ? map.experts() : experts}, o.device_slots, map.expert_of_slot};
  }
  std::uint32_t devices = o.devices.value_or(0);
  if (devices == 0 && map.devices == 0 && o.slots) {
    if (map.slots % *o.slots != 0)
      return fail(ErrorCode::kInvalidArgument, "--slots {} does not divide the {} slots of a layer", *o.slots, map.slots);
    devices = map.slots / *o.slots;
  }
  if (devices == 0 && map.devices == 0)
    return fail(ErrorCode::kInvalidArgument,
                "--devices N is needed: this form of layout does not say how many GPUs its {} slots are spread over", map.slots);
  return codec::layout_of(map, devices, experts);
}

Result<codec::SlotMap> map_of_dump(const std::string& bytes) {
  auto location = codec::parse_expert_location(bytes);
  if (location && std::holds_alternative<codec::SlotMap>(*location)) return std::get<codec::SlotMap>(*location);
  auto dump = codec::parse_recorder_dump(bytes);
  if (dump && dump->last_map) return *dump->last_map;
  if (!location) return fail(location.error());
  return fail(ErrorCode::kInvalidArgument, "it holds counts, not a layout: plan from it with `flexpert place plan`");
}

Result<codec::SlotMap> read_map(const std::string& text, std::uint32_t layers) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return fail(ErrorCode::kInvalidArgument, "it is empty");
  if (text.starts_with("PK\x03\x04")) return map_of_dump(text);
  if (text[first] == '[' || (text[first] == '{' && text.find("\"layer_list\"") != std::string::npos))
    return codec::parse_vllm_expert_map(text, layers);
  if (text[first] != '{')
    return fail(ErrorCode::kInvalidArgument,
                "no layout: needs JSON (a plan of ours, {{\"physical_to_logical_map\": ...}}, a vLLM map), a .pt file or the word trivial");
  FLEXPERT_ASSIGN(codec::ExpertLocation location, codec::parse_expert_location(text));
  if (!std::holds_alternative<codec::SlotMap>(location))
    return fail(ErrorCode::kInvalidArgument, "it holds counts (logical_count), not a layout: plan from it with `flexpert place plan`");
  return std::get<codec::SlotMap>(std::move(location));
}

Result<PlaceLayout> parse(const PlaceBytes& input, const PlaceOptions& options, std::optional<ExpertGeometry> geometry) {
  PlaceLayout out;
  if (codec::is_placement_json(input.bytes)) {
    FLEXPERT_ASSIGN(codec::PlacementFile file, codec::parse_placement_json(input.bytes));
    out.layout = std::move(file.plan.layout);
    out.cluster = std::move(file.cluster);
    out.mode = file.plan.mode;
    out.counts_source = file.provenance.counts_source;
    out.counts_digest = file.provenance.counts_digest;
  } else {
    FLEXPERT_ASSIGN(const codec::SlotMap map, read_map(input.bytes, geometry ? geometry->layers : 0));
    FLEXPERT_ASSIGN(out.layout, spread(map, options.cluster, geometry ? geometry->experts : 0));
  }
  FLEXPERT_TRY(validate(out.layout));
  if (geometry && *geometry != out.layout.geometry)
    return fail(ErrorCode::kInvalidArgument,
                "the layout has {} layers x {} experts, what it is used with {} x {}: they are of different models",
                out.layout.geometry.layers, out.layout.geometry.experts, geometry->layers, geometry->experts);
  return out;
}

Result<PlaceLayout> trivial(const PlaceOptions& options, std::optional<ExpertGeometry> geometry) {
  if (!geometry)
    return fail(ErrorCode::kInvalidArgument,
                "the layout \"trivial\" needs something that says how many layers and experts there are: counts or another layout");
  FLEXPERT_ASSIGN(const ExpertCluster cluster, cluster_of(options.cluster, {*geometry}));
  FLEXPERT_TRY(check_room(cluster, *geometry));
  std::vector<std::uint32_t> slots;
  for (const ExpertDevice& device : cluster.devices) slots.push_back(device.slots);
  PlaceLayout out;
  out.name = "trivial";
  out.layout = trivial_layout(*geometry, std::move(slots));
  return out;
}

}  // namespace

Result<PlaceLayout> parse_layout(const PlaceBytes& input, const PlaceOptions& options, std::optional<ExpertGeometry> geometry) {
  auto layout = parse(input, options, geometry);
  if (!layout) return fail(layout.error().with_context(input.name));
  layout->name = input.name;
  return layout;
}

Result<PlaceLayout> read_layout(const std::string& source, const PlaceOptions& options, std::optional<ExpertGeometry> geometry) {
  if (source == "trivial") return trivial(options, geometry);
  if (const auto address = engine_address(source)) {
    if (!*address) return fail(address->error());
    FLEXPERT_ASSIGN(EngineLayout engine, engine_layout(**address));
    if (geometry && *geometry != engine.layout.geometry)
      return fail(ErrorCode::kInvalidArgument, "the engine has {} layers x {} experts, the counts {} x {}: they are of different models",
                  engine.layout.geometry.layers, engine.layout.geometry.experts, geometry->layers, geometry->experts);
    PlaceLayout out;
    out.name = source;
    out.layout = std::move(engine.layout);
    return out;
  }
  FLEXPERT_ASSIGN(const PlaceBytes input, read_place_bytes(source));
  return parse_layout(input, options, geometry);
}

Result<ExpertCounts> counts_behind(const PlaceLayout& layout, const PlaceOptions& options) {
  if (layout.counts_source.empty() || layout.counts_source == "-" || engine_address(layout.counts_source))
    return fail(ErrorCode::kInvalidArgument, "--counts COUNTS is needed: no file of the counts is known for {}", layout.name);
  auto counts = read_counts(layout.counts_source, options);
  if (!counts)
    return fail(counts.error().code, "--counts COUNTS is needed: those that {} was made for cannot be read any more: {}", layout.name,
                counts.error().message);
  if (codec::digest_of(*counts) != layout.counts_digest)
    return fail(ErrorCode::kFailedPrecondition, "--counts COUNTS is needed: {} holds other counts than when {} was made",
                layout.counts_source, layout.name);
  return counts;
}

ExpertLayout living_part(ExpertLayout layout, const ExpertCluster& cluster) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    const auto row = layout.layer(l);
    for (std::size_t slot = 0; slot < row.size(); ++slot)
      if (!cluster.devices[device_of[slot]].alive) row[slot] = kEmptySlot;
  }
  return layout;
}

}  // namespace flexpert::app
