#include "codec/expert_location.h"

#include "codec/expert_counts_json.h"
#include "codec/json_numbers.h"
#include "codec/recorder_dump.h"
#include "codec/slot_map_text.h"
#include "codec/torch_file.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kMapKey = "physical_to_logical_map";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::unexpected<Error> other_key(std::string_view key) {
  return fail(ErrorCode::kInvalidArgument, "expert location: unknown key '{}' beside {}: SGLang allows no other; remove it",
              json_numbers::shown(key), kMapKey);
}

Result<ExpertLocation> parse_json(std::string_view text) {
  bool has_map = false;
  {
    simdjson::dom::parser parser;
    FLEXPERT_ASSIGN(const auto root, json_numbers::parse(parser, text, "expert location"));
    simdjson::dom::object object;
    if (root.get(object) != simdjson::SUCCESS)
      return fail(ErrorCode::kInvalidArgument, "expert location: must be an object with {} or logical_count", kMapKey);
    for (const auto field : object) has_map = has_map || field.key == kMapKey;
    if (has_map) {
      for (const auto field : object)
        if (field.key != kMapKey) return other_key(field.key);
      FLEXPERT_ASSIGN(const auto rows, json_numbers::unique_field(object, kMapKey, "expert location"));
      FLEXPERT_ASSIGN(const NumberArray array, json_numbers::number_array(rows, kMapKey));
      return slot_map_of(array, kMapKey);
    }
  }
  auto counts = parse_expert_counts_json(text);
  if (!counts && counts.error().code == ErrorCode::kNotFound)
    return fail(ErrorCode::kInvalidArgument, "expert location: has neither {} nor logical_count; {}", kMapKey, counts.error().message);
  FLEXPERT_ASSIGN(ExpertCounts found, std::move(counts));
  return found;
}

Result<ExpertLocation> parse_pt(std::string_view bytes) {
  {
    FLEXPERT_ASSIGN(TorchFile file, TorchFile::open(bytes));
    if (const auto value = file.pickle().field(file.root(), kMapKey)) {
      const auto pairs = file.pickle().items(file.root());
      for (std::size_t i = 0; i < pairs.size(); i += 2) {
        if (pairs[i].kind != PickleKind::kString) return other_key(name_of(pairs[i].kind));
        if (file.pickle().text(pairs[i]) != kMapKey) return other_key(file.pickle().text(pairs[i]));
      }
      FLEXPERT_ASSIGN(const NumberArray array, file.numbers(*value, kMapKey));
      return slot_map_of(array, kMapKey);
    }
  }
  FLEXPERT_ASSIGN(const RecorderDump dump, parse_recorder_dump(bytes));
  FLEXPERT_ASSIGN(ExpertCounts sum, sum_of(dump.steps));
  return sum;
}

}  // namespace

Result<ExpertLocation> parse_expert_location(std::string_view text) {
  if (text.starts_with("PK")) return parse_pt(text);
  const std::string_view word = trimmed(text);
  if (word == "trivial") return TrivialLocation{};
  if (word.starts_with('{')) return parse_json(word);
  return fail(ErrorCode::kInvalidArgument, "expert location: must be trivial, JSON that begins with '{{', or a .pt file; begins with '{}'",
              json_numbers::shown(word.substr(0, 20)));
}

Result<std::string> write_expert_location_json(const ExpertLayout& layout) {
  FLEXPERT_ASSIGN(const SlotMap map, slot_map_of(layout));
  std::string out = fmt::format("{{\"{}\":", kMapKey);
  append_rows(out, map);
  return out += "}\n";
}

Result<std::string> write_expert_location_pt(const ExpertLayout& layout) {
  FLEXPERT_ASSIGN(const SlotMap map, slot_map_of(layout));
  return write_torch_file({TorchValue::Dict{{std::string(kMapKey), {TorchTensor{TorchDtype::kInt64, array_of(map)}}}}});
}

}  // namespace flexpert::codec
