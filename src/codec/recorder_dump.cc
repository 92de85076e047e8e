#include "codec/recorder_dump.h"

#include <algorithm>
#include <cmath>

#include "codec/torch_file.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kCount = "logical_count";
constexpr std::string_view kRecords = "records";
constexpr std::string_view kLastMap = "last_physical_to_logical_map";
constexpr std::string_view kSlotCount = "global_physical_count";

/// Adds the counts of an expert's slots.
Result<ExpertCounts> logical_counts(const NumberArray& array, const SlotMap& map, std::string_view what) {
  FLEXPERT_ASSIGN(const auto steps, count_steps(array, what));
  const ExpertGeometry& physical = steps.front().geometry;
  if (array.shape.size() != 2 || physical.layers != map.layers || physical.experts != map.slots)
    return fail(ErrorCode::kInvalidArgument, "{}: is {}, but {} is [{}][{}]", what, shape_text(array.shape), kLastMap, map.layers,
                map.slots);
  ExpertCounts counts{{map.layers, map.experts()}, {}, 0};
  counts.count.resize(counts.geometry.size(), 0);
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    const auto layer = static_cast<std::uint32_t>(i / map.slots);
    counts.count[counts.geometry.index({layer, static_cast<std::uint32_t>(map.expert_of_slot[i])})] += array.values[i];
  }
  return counts;
}

Result<RecorderDump> read_records(TorchFile& file, PickleValue records) {
  const Pickle& pickle = file.pickle();
  if (records.kind != PickleKind::kList)
    return fail(ErrorCode::kInvalidArgument, "{}: must be a list, is {}", kRecords, name_of(records.kind));
  const auto map_value = pickle.field(file.root(), kLastMap);
  if (!map_value) return fail(ErrorCode::kInvalidArgument, "recorder dump: has {} but no {}", kRecords, kLastMap);
  FLEXPERT_ASSIGN(const NumberArray map_array, file.numbers(*map_value, kLastMap));
  FLEXPERT_ASSIGN(SlotMap map, slot_map_of(map_array, kLastMap));
  const auto items = pickle.items(records);
  if (items.empty()) return fail(ErrorCode::kInvalidArgument, "recorder dump: {} is empty: nothing was recorded before the dump", kRecords);
  RecorderDump dump;
  std::size_t total = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string place = fmt::format("{}[{}].{}", kRecords, i, kSlotCount);
    const auto value = pickle.field(items[i], kSlotCount);
    if (!value) return fail(ErrorCode::kInvalidArgument, "{}: is missing", place);
    FLEXPERT_ASSIGN(const NumberArray array, file.numbers(*value, place));
    total += std::max(array.values.size(), static_cast<std::size_t>(map.layers) * map.experts());
    if (total > kMaxArrayElements)
      return fail(ErrorCode::kResourceExhausted, "recorder dump: more than {} counts in all; record fewer passes, or in mode stat",
                  kMaxArrayElements);
    FLEXPERT_ASSIGN(ExpertCounts counts, logical_counts(array, map, place));
    dump.steps.push_back(std::move(counts));
  }
  dump.last_map = std::move(map);
  return dump;
}

TorchValue tensor(TorchDtype dtype, std::vector<std::uint64_t> shape, std::vector<double> values) {
  return {TorchTensor{dtype, {std::move(shape), std::move(values)}}};
}

}  // namespace

Result<RecorderDump> parse_recorder_dump(std::string_view bytes) {
  FLEXPERT_ASSIGN(TorchFile file, TorchFile::open(bytes));
  if (file.root().kind != PickleKind::kDict)
    return fail(ErrorCode::kInvalidArgument, "recorder dump: must be a dict, is {}", name_of(file.root().kind));
  if (const auto value = file.pickle().field(file.root(), kCount)) {
    FLEXPERT_ASSIGN(const NumberArray array, file.numbers(*value, kCount));
    RecorderDump dump;
    FLEXPERT_ASSIGN(dump.steps, count_steps(array, kCount));
    return dump;
  }
  if (const auto records = file.pickle().field(file.root(), kRecords)) return read_records(file, *records);
  return fail(ErrorCode::kInvalidArgument, "recorder dump: has neither {} (modes stat, stat_approx) nor {} (modes per_pass, per_token)",
              kCount, kRecords);
}

Result<std::string> write_stat_dump(const std::vector<ExpertCounts>& steps, std::uint32_t rank) {
  FLEXPERT_ASSIGN(const ExpertCounts sum, sum_of(steps));  // checks the geometries
  NumberArray array{{steps.size(), sum.geometry.layers, sum.geometry.experts}, {}};
  for (const ExpertCounts& step : steps) array.values.insert(array.values.end(), step.count.begin(), step.count.end());
  const bool whole =
      std::all_of(array.values.begin(), array.values.end(), [](double value) { return std::trunc(value) == value && value < 0x1p53; });
  TorchValue::Dict root;
  root.emplace_back("rank", TorchValue{std::int64_t{rank}});
  root.emplace_back(std::string(kCount), TorchValue{TorchTensor{whole ? TorchDtype::kInt64 : TorchDtype::kFloat64, std::move(array)}});
  root.emplace_back("average_utilization_rate_over_window", TorchValue{});
  return write_torch_file({std::move(root)});
}

Result<std::string> write_pass_dump(const std::vector<RecordedPass>& passes, const SlotMap& map, std::uint32_t rank) {
  TorchValue::List records;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const RecordedPass& pass = passes[i];
    const std::size_t routed = static_cast<std::size_t>(map.layers) * pass.tokens * pass.top_k;
    if (pass.slot_count.size() != map.expert_of_slot.size() || pass.slot_of_token.size() != routed)
      return fail(ErrorCode::kInvalidArgument, "recorder dump: pass {}: needs {} counts and {} slots of tokens: {} and {} given", i,
                  map.expert_of_slot.size(), routed, pass.slot_count.size(), pass.slot_of_token.size());
    TorchValue::Dict record;
    record.emplace_back("forward_pass_id", TorchValue{pass.id});
    record.emplace_back("rank", TorchValue{std::int64_t{rank}});
    record.emplace_back("gatherer_key", TorchValue{std::string("primary")});
    if (pass.tokens > 0)
      record.emplace_back("topk_ids_of_layer", tensor(TorchDtype::kInt32, {map.layers, pass.tokens, pass.top_k},
                                                      {pass.slot_of_token.begin(), pass.slot_of_token.end()}));
    record.emplace_back(std::string(kSlotCount), tensor(TorchDtype::kInt64, {map.layers, map.slots}, {pass.slot_count.begin(), pass.slot_count.end()}));
    records.push_back({std::move(record)});
  }
  TorchValue::Dict root;
  root.emplace_back(std::string(kRecords), TorchValue{std::move(records)});
  root.emplace_back(std::string(kLastMap), TorchValue{TorchTensor{TorchDtype::kInt64, array_of(map)}});
  return write_torch_file({std::move(root)});
}

}  // namespace flexpert::codec
