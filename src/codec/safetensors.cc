#include "codec/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>
#include <utility>

#include <simdjson.h>

namespace flexpert::codec {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
/// No model has tensors of more dimensions; keeps a hostile header from growing vectors.
constexpr std::size_t kMaxRank = 16;

std::uint64_t read_u64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

/// Shows a name from a file in a message: short, and without control characters.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 120)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  if (name.size() > 120) text += "...";
  return text;
}

/// Returns the bytes that a tensor of this shape takes, or nothing when they do not fit 64 bits.
std::pair<bool, std::uint64_t> byte_count(const std::vector<std::uint64_t>& shape, std::uint32_t bits) {
  std::uint64_t total = bits;
  for (const std::uint64_t extent : shape)
    if (__builtin_mul_overflow(total, extent, &total)) return {false, 0};
  if (total % 8 != 0) return {false, 0};
  return {true, total / 8};
}

Result<std::vector<std::uint64_t>> unsigned_array(const simdjson::dom::object& fields, const char* field, std::size_t most,
                                                  std::string_view tensor) {
  simdjson::dom::array array;
  if (fields[field].get(array) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "safetensors tensor has no list {}: {}", field, shown(tensor));
  std::vector<std::uint64_t> values;
  for (const simdjson::dom::element element : array) {
    std::uint64_t value = 0;
    if (element.get(value) != simdjson::SUCCESS)
      return fail(ErrorCode::kInvalidArgument, "safetensors {} must hold whole numbers >= 0: tensor {}", field, shown(tensor));
    if (values.size() == most)
      return fail(ErrorCode::kInvalidArgument, "safetensors {} has more than {} numbers: tensor {}", field, most, shown(tensor));
    values.push_back(value);
  }
  return values;
}

Result<SafetensorsEntry> parse_entry(std::string_view name, simdjson::dom::element element, std::uint64_t data_begin,
                                     std::uint64_t file_size) {
  simdjson::dom::object fields;
  if (element.get(fields) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "safetensors tensor is not described by an object: {}", shown(name));
  for (const auto field : fields)
    if (field.key != "dtype" && field.key != "shape" && field.key != "data_offsets")
      return fail(ErrorCode::kInvalidArgument, "safetensors tensor has an unknown field {}: {}", shown(field.key), shown(name));
  SafetensorsEntry entry;
  entry.name = name;
  std::string_view dtype;
  if (fields["dtype"].get(dtype) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "safetensors tensor has no dtype: {}", shown(name));
  entry.dtype = dtype;
  const std::uint32_t bits = safetensors_dtype_bits(dtype);
  if (bits == 0) return fail(ErrorCode::kInvalidArgument, "safetensors tensor has the unknown dtype {}: {}", shown(dtype), shown(name));
  FLEXPERT_ASSIGN(entry.shape, unsigned_array(fields, "shape", kMaxRank, name));
  FLEXPERT_ASSIGN(const auto offsets, unsigned_array(fields, "data_offsets", 2, name));
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    return fail(ErrorCode::kInvalidArgument, "safetensors data_offsets must be [begin, end] with begin <= end: tensor {}", shown(name));
  const std::uint64_t data_size = file_size - data_begin;
  if (offsets[1] > data_size)
    return fail(ErrorCode::kDataLoss, "safetensors tensor ends beyond the file (truncated?): {} needs {} bytes of data, the file has {}",
                shown(name), offsets[1], data_size);
  const auto [fits, bytes] = byte_count(entry.shape, bits);
  if (!fits || bytes != offsets[1] - offsets[0])
    return fail(ErrorCode::kInvalidArgument, "safetensors byte count does not match shape and dtype: {} is {} [{}] but has {} bytes",
                shown(name), entry.dtype, fmt::join(entry.shape, ", "), offsets[1] - offsets[0]);
  entry.begin = data_begin + offsets[0];
  entry.end = data_begin + offsets[1];
  return entry;
}

/// The format allows neither gaps nor overlaps: sorted tensors touch each other, the data's start and its end.
Result<void> check_layout(const SafetensorsTable& table, std::uint64_t file_size) {
  std::uint64_t at = table.data_begin;
  const SafetensorsEntry* before = nullptr;
  for (const SafetensorsEntry& entry : table.tensors) {
    if (entry.begin < at)
      return fail(ErrorCode::kInvalidArgument, "safetensors tensors overlap: {} and {}", shown(before->name), shown(entry.name));
    if (entry.begin > at)
      return fail(ErrorCode::kInvalidArgument, "safetensors data has a gap of {} bytes before tensor {}", entry.begin - at, shown(entry.name));
    at = entry.end;
    before = &entry;
  }
  if (at != file_size)
    return fail(ErrorCode::kInvalidArgument, "safetensors file has {} bytes that belong to no tensor", file_size - at);
  return {};
}

Result<void> check_metadata(simdjson::dom::element element) {
  simdjson::dom::object fields;
  if (element.get(fields) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "safetensors __metadata__ must be an object of strings");
  for (const auto field : fields)
    if (!field.value.is_string())
      return fail(ErrorCode::kInvalidArgument, "safetensors __metadata__ must be an object of strings: {}", shown(field.key));
  return {};
}

}  // namespace

std::uint32_t safetensors_dtype_bits(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, std::uint32_t>, 20> kBits = {{
      {"F32", 32}, {"BF16", 16}, {"F16", 16}, {"F64", 64}, {"I8", 8}, {"U8", 8}, {"I16", 16},
      {"U16", 16}, {"I32", 32}, {"U32", 32}, {"I64", 64}, {"U64", 64}, {"BOOL", 8}, {"C64", 64},
      {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
  }};
  for (const auto& [name, bits] : kBits)
    if (name == dtype) return bits;
  return 0;
}

Result<SafetensorsTable> parse_safetensors(std::span<const std::byte> file_start, std::uint64_t file_size) {
  if (file_size < kLengthBytes || file_start.size() < kLengthBytes)
    return fail(ErrorCode::kDataLoss, "safetensors file is too short for its header length: {} bytes", file_size);
  const std::uint64_t length = read_u64(file_start);
  if (length > kMaxSafetensorsHeader)
    return fail(ErrorCode::kInvalidArgument, "safetensors header is longer than the allowed {} bytes (not a safetensors file?): {}",
                kMaxSafetensorsHeader, length);
  if (length > file_size - kLengthBytes || length > file_start.size() - kLengthBytes)
    return fail(ErrorCode::kDataLoss, "safetensors header is truncated: {} bytes announced, {} there", length,
                std::min<std::uint64_t>(file_size, file_start.size()) - kLengthBytes);
  const std::string_view json(reinterpret_cast<const char*>(file_start.data()) + kLengthBytes, length);
  if (json.empty() || json.front() != '{') return fail(ErrorCode::kInvalidArgument, "safetensors header does not start with '{{'");

  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(json.data(), json.size(), true).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "safetensors header is not valid JSON: {}", simdjson::error_message(error));
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "safetensors header is not a JSON object");

  SafetensorsTable table;
  table.data_begin = kLengthBytes + length;
  std::unordered_set<std::string_view> names;  // of the parser's own memory
  for (const auto field : object) {
    if (!names.insert(field.key).second)
      return fail(ErrorCode::kInvalidArgument, "safetensors header has a name twice: {}", shown(field.key));
    if (field.key == "__metadata__") {
      FLEXPERT_TRY(check_metadata(field.value));
      continue;
    }
    FLEXPERT_ASSIGN(auto entry, parse_entry(field.key, field.value, table.data_begin, file_size));
    table.tensors.push_back(std::move(entry));
  }
  std::sort(table.tensors.begin(), table.tensors.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  FLEXPERT_TRY(check_layout(table, file_size));
  return table;
}

}  // namespace flexpert::codec
