#include "codec/placement_json.h"

#include <algorithm>
#include <bit>
#include <initializer_list>

#include <xxhash.h>

#include "codec/json_text.h"
#include "codec/little_endian.h"
#include "codec/placement_json_parts.h"
#include "codec/slot_map_text.h"

namespace flexpert::codec {
namespace {

namespace json = boost::json;

void append_devices(std::string& out, const ExpertCluster& cluster) {
  out += "\"devices\":[";
  for (std::size_t i = 0; i < cluster.devices.size(); ++i) {
    const ExpertDevice& device = cluster.devices[i];
    out += fmt::format(R"({}{{"node":{},"host":{},"slots":{},"speed":)", i == 0 ? "" : ",", device.node, device.host, device.slots);
    append_json_number(out, device.speed);
    out += fmt::format(R"(,"alive":{}}})", device.alive);
  }
  out += "]";
}

void append_field(std::string& out, std::string_view key, std::string_view value) {
  append_json_string(out, key);
  out += ':';
  append_json_string(out, value);
}

void append_provenance(std::string& out, const PlacementProvenance& from) {
  out += "\"provenance\":{";
  append_field(out, "tool", from.tool);
  out += ',';
  append_field(out, "tool_version", from.tool_version);
  out += ',';
  append_field(out, "created", from.created);
  out += ',';
  append_field(out, "counts_source", from.counts_source);
  out += ',';
  append_field(out, "counts_digest", from.counts_digest);
  out += ",\"options\":{";
  for (std::size_t i = 0; i < from.options.size(); ++i) {
    if (i > 0) out += ',';
    append_field(out, from.options[i].first, from.options[i].second);
  }
  out += "}}";
}

void append_layout(std::string& out, const ExpertLayout& layout) {
  out += fmt::format("\"layers\":{},\n\"experts\":{},\n\"expert_of_slot\":", layout.geometry.layers, layout.geometry.experts);
  for (std::uint32_t layer = 0; layer < layout.geometry.layers; ++layer) {
    out += layer == 0 ? "[\n" : ",\n";
    append_experts(out, layout.layer(layer));
  }
  out += "]";
}

/// Checks that an object has no keys but these.
void only(placement_json::Reader& reader, const json::object& object, std::initializer_list<std::string_view> known) {
  for (const auto& field : object) {
    const std::string_view key(field.key().data(), field.key().size());
    if (std::find(known.begin(), known.end(), key) == known.end())
      reader.set(fmt::format("{}: unknown field; known are: {}", reader.path_of(key.substr(0, 60)), fmt::join(known, ", ")));
  }
}

PlacementProvenance read_provenance(placement_json::Reader& root) {
  PlacementProvenance from;
  const json::object* object = placement_json::object_of(root, "provenance");
  if (object == nullptr) return from;
  placement_json::Reader reader(*object, "provenance");
  only(reader, *object, {"tool", "tool_version", "created", "counts_source", "counts_digest", "options"});
  from.tool = reader.text("tool");
  from.tool_version = reader.text("tool_version");
  from.created = reader.text("created");
  from.counts_source = reader.text("counts_source");
  from.counts_digest = reader.text("counts_digest");
  if (const json::object* options = placement_json::object_of(reader, "options")) {
    for (const auto& option : *options) {
      const std::string key(option.key().data(), option.key().size());
      if (const json::string* value = option.value().if_string()) from.options.emplace_back(key, std::string(value->data(), value->size()));
      else reader.set(fmt::format("provenance.options.{}: must be a string", key.substr(0, 60)));
    }
  }
  root.take(reader);
  return from;
}

ExpertDevice read_device(placement_json::Reader& reader) {
  ExpertDevice device;
  device.node = reader.integer<std::uint32_t>("node");
  device.host = reader.integer<std::uint32_t>("host");
  device.slots = reader.integer<std::uint32_t>("slots");
  device.speed = reader.number("speed");
  device.alive = reader.boolean("alive");
  return device;
}

ExpertLayout read_layout(placement_json::Reader& reader, const ExpertCluster& cluster) {
  ExpertLayout layout;
  layout.geometry = {reader.integer<std::uint32_t>("layers"), reader.integer<std::uint32_t>("experts")};
  for (const ExpertDevice& device : cluster.devices) layout.slots_of_device.push_back(device.slots);
  const json::array& rows = reader.array("expert_of_slot");
  if (!reader.ok()) return layout;
  if (rows.size() != layout.geometry.layers) {
    reader.set(fmt::format("expert_of_slot: has {} rows, layers is {}", rows.size(), layout.geometry.layers));
    return layout;
  }
  const std::uint32_t slots = layout.slots();
  if (layout.geometry.experts > slots)
    reader.set(fmt::format("experts: {} experts need as many slots; the devices have {}", layout.geometry.experts, slots));
  for (std::size_t layer = 0; layer < rows.size() && reader.ok(); ++layer) {
    const json::array* row = rows[layer].if_array();
    if (row == nullptr || row->size() != slots) {
      reader.set(fmt::format("expert_of_slot[{}]: must be an array of {} slots, one for each slot of the devices", layer, slots));
      break;
    }
    for (std::size_t slot = 0; slot < row->size() && reader.ok(); ++slot) {
      const auto* expert = (*row)[slot].if_int64();
      if (expert == nullptr || *expert < kEmptySlot || *expert >= layout.geometry.experts)
        reader.set(fmt::format("expert_of_slot: layer {} slot {}: must be an expert, 0 to {}, or -1 for an empty slot", layer, slot,
                               static_cast<std::int64_t>(layout.geometry.experts) - 1));
      else layout.expert_of_slot.push_back(static_cast<std::int32_t>(*expert));
    }
  }
  return layout;
}

}  // namespace

std::string digest_of(const ExpertCounts& counts) {
  std::string bytes;
  bytes.reserve(8 + counts.count.size() * 8);
  append_le(bytes, counts.geometry.layers);
  append_le(bytes, counts.geometry.experts);
  for (const double count : counts.count) append_le(bytes, std::bit_cast<std::uint64_t>(count));
  const XXH128_hash_t digest = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("xxh3-128:{:016x}{:016x}", digest.high64, digest.low64);
}

bool is_placement_json(std::string_view text) {
  // The writer puts the format first; a file in which somebody moved it is still found.
  const std::size_t at = text.find(kPlacementFormat);
  return at != std::string_view::npos && text.find("\"format\"") < at;
}

std::string write_placement_json(const PlacementFile& file) {
  std::string out = fmt::format("{{\"format\":\"{}\",\n\"version\":1,\n\"mode\":", kPlacementFormat);
  append_json_string(out, file.plan.mode);
  out += fmt::format(",\n\"worthwhile\":{},\n", file.plan.worthwhile);
  append_provenance(out, file.provenance);
  out += ",\n";
  append_devices(out, file.cluster);
  out += ",\n\"balance\":";
  placement_json::append(out, file.plan.balance);
  out += ",\n\"before\":";
  placement_json::append(out, file.plan.before);
  out += ",\n\"reasons\":";
  placement_json::append(out, file.plan.reasons);
  out += ",\n\"moves\":";
  placement_json::append(out, file.plan.moves);
  out += ",\n";
  append_layout(out, file.plan.layout);
  return out += "}\n";
}

Result<PlacementFile> parse_placement_json(std::string_view text) {
  constexpr std::size_t kMaxBytes = std::size_t{128} << 20;
  if (text.size() > kMaxBytes)
    return fail(ErrorCode::kResourceExhausted, "placement: {} bytes; at most {} are read", text.size(), kMaxBytes);
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "placement"));
  const json::object& object = value.get_object();
  placement_json::Reader reader(object, "");
  if (reader.text("format") != kPlacementFormat) reader.set(fmt::format("format: must be {}", kPlacementFormat));
  if (reader.integer<std::uint32_t>("version") != 1) reader.set("version: must be 1; a newer file needs a newer flexpert");
  only(reader, object,
       {"format", "version", "mode", "worthwhile", "provenance", "devices", "balance", "before", "reasons", "moves", "layers", "experts",
        "expert_of_slot"});
  PlacementFile file;
  file.plan.mode = reader.text("mode");
  file.plan.worthwhile = reader.boolean("worthwhile");
  file.provenance = read_provenance(reader);
  file.cluster.devices = fleet_json::read_objects<ExpertDevice>(reader, "devices", read_device);
  file.plan.balance = placement_json::read_balance(reader, "balance");
  file.plan.before = placement_json::read_balance(reader, "before");
  file.plan.reasons = placement_json::read_reasons(reader, "reasons");
  file.plan.moves = placement_json::read_moves(reader, "moves");
  if (!reader.ok()) return fail(reader.error().with_context("placement"));
  if (auto valid = validate(file.cluster); !valid) return fail(valid.error().with_context("placement"));
  file.plan.layout = read_layout(reader, file.cluster);
  if (!reader.ok()) return fail(reader.error().with_context("placement"));
  if (auto valid = validate(file.plan.layout); !valid) return fail(valid.error().with_context("placement"));
  return file;
}

}  // namespace flexpert::codec
