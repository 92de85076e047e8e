#include "codec/expert_files.h"

#include <string>
#include <utility>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/expert_location.h"
#include "codec/gzip.h"
#include "codec/npy.h"
#include "codec/placement_json.h"
#include "codec/recorder_dump.h"
#include "codec/vllm_expert_map.h"
#include "codec/zip_archive.h"

namespace flexpert::codec {
namespace {

char first_of(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? '\0' : text[at];
}

/// Tells .npz from .pt: numpy's archives hold arrays and nothing else.
bool is_npz(std::string_view bytes) {
  const auto archive = ZipArchive::open(bytes);
  if (!archive || archive->entries().empty()) return false;
  for (const ZipEntry& entry : archive->entries())
    if (!entry.name.ends_with(".npy")) return false;
  return true;
}

Result<void> no_path(std::string_view path, const char* form) {
  if (path.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, "a path within the file has no meaning for {}: {}", form, path);
}

Result<std::vector<ExpertCounts>> one(Result<ExpertCounts> counts) {
  FLEXPERT_ASSIGN(ExpertCounts found, std::move(counts));
  return std::vector<ExpertCounts>{std::move(found)};
}

Result<SlotMap> read_map(std::string_view bytes, const LayoutShape& shape) {
  if (is_npy(bytes)) {
    FLEXPERT_ASSIGN(const NumberArray array, parse_npy(bytes));
    return slot_map_of(array, "npy");
  }
  if (first_of(bytes) == '[') return parse_vllm_expert_map(bytes, shape.layers);
  if (first_of(bytes) == '{' && bytes.find("\"layer_list\"") != std::string_view::npos) return parse_vllm_expert_map(bytes, shape.layers);
  if (bytes.starts_with("PK")) {
    auto dump = parse_recorder_dump(bytes);
    if (dump && dump->last_map) return std::move(*dump->last_map);
  }
  FLEXPERT_ASSIGN(ExpertLocation location, parse_expert_location(bytes));
  if (SlotMap* map = std::get_if<SlotMap>(&location)) return std::move(*map);
  return fail(ErrorCode::kInvalidArgument, "layout: the file has counts, not a map of slots: plan one from them first");
}

Result<ExpertLayout> trivial(const LayoutShape& shape) {
  if (shape.devices == 0 || shape.layers == 0 || shape.experts == 0 || shape.slots == 0)
    return fail(ErrorCode::kInvalidArgument, "layout: trivial needs the numbers of layers, experts, slots and devices");
  SlotMap map{shape.layers, shape.slots, shape.devices, {}};
  FLEXPERT_TRY(element_count({shape.layers, shape.slots}, "layout"));
  if (shape.slots < shape.experts)
    return fail(ErrorCode::kInvalidArgument, "layout: {} slots a layer cannot hold the model's {} experts", shape.slots, shape.experts);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) map.expert_of_slot.push_back(static_cast<std::int32_t>(slot % shape.experts));
  return layout_of(map, shape.devices, shape.experts);
}

Result<ExpertLayout> from_placement(std::string_view bytes, const LayoutShape& shape) {
  FLEXPERT_ASSIGN(PlacementFile file, parse_placement_json(bytes));
  const ExpertLayout& layout = file.plan.layout;
  if (shape.devices != 0 && shape.devices != layout.devices())
    return fail(ErrorCode::kInvalidArgument, "placement: is for {} devices, not for {}", layout.devices(), shape.devices);
  if (shape.experts != 0 && shape.experts != layout.geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "placement: is for {} experts, not for {}", layout.geometry.experts, shape.experts);
  return std::move(file.plan.layout);
}

Result<ExpertLayout> read_plain_layout(std::string_view bytes, const LayoutShape& shape) {
  if (bytes.starts_with("trivial") && bytes.find_first_not_of(" \t\r\n", 7) == std::string_view::npos) return trivial(shape);
  ExpertLayout layout;
  if (first_of(bytes) == '{' && is_placement_json(bytes)) {
    FLEXPERT_ASSIGN(layout, from_placement(bytes, shape));
  } else {
    FLEXPERT_ASSIGN(const SlotMap map, read_map(bytes, shape));
    FLEXPERT_ASSIGN(layout, layout_of(map, shape.devices, shape.experts));
  }
  if (shape.layers != 0 && shape.layers != layout.geometry.layers)
    return fail(ErrorCode::kInvalidArgument, "layout: has {} layers, not {}", layout.geometry.layers, shape.layers);
  if (shape.slots != 0 && shape.slots != layout.slots())
    return fail(ErrorCode::kInvalidArgument, "layout: has {} slots a layer, not {}", layout.slots(), shape.slots);
  return layout;
}

Result<std::vector<ExpertCounts>> read_plain_steps(std::string_view bytes, std::string_view path) {
  if (is_npy(bytes)) {
    FLEXPERT_TRY(no_path(path, ".npy"));
    FLEXPERT_ASSIGN(const NumberArray array, parse_npy(bytes));
    return count_steps(array, "npy");
  }
  if (bytes.starts_with("PK")) {
    if (is_npz(bytes)) {
      FLEXPERT_ASSIGN(const NumberArray array, parse_npz(bytes, path));
      return count_steps(array, "npz");
    }
    FLEXPERT_TRY(no_path(path, ".pt"));
    FLEXPERT_ASSIGN(RecorderDump dump, parse_recorder_dump(bytes));
    return std::move(dump.steps);
  }
  if (const char first = first_of(bytes); first == '{' || first == '[') return count_steps_at(bytes, path);
  FLEXPERT_TRY(no_path(path, "CSV"));
  return one(parse_expert_counts_csv(bytes));
}

}  // namespace

Result<std::vector<ExpertCounts>> read_count_steps(std::string_view bytes, std::string_view path) {
  if (!is_gzip(bytes)) return read_plain_steps(bytes, path);
  FLEXPERT_ASSIGN(const std::string unpacked, gunzip(bytes, kMaxUnpackedBytes));
  return read_plain_steps(unpacked, path);
}

Result<ExpertCounts> read_counts(std::string_view bytes, std::string_view path) {
  FLEXPERT_ASSIGN(const auto steps, read_count_steps(bytes, path));
  return sum_of(steps);
}

Result<ExpertLayout> read_layout(std::string_view bytes, const LayoutShape& shape) {
  if (!is_gzip(bytes)) return read_plain_layout(bytes, shape);
  FLEXPERT_ASSIGN(const std::string unpacked, gunzip(bytes, kMaxUnpackedBytes));
  return read_plain_layout(unpacked, shape);
}

}  // namespace flexpert::codec
