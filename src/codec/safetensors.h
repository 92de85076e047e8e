#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The safetensors container: u64 little-endian header length, a JSON header, then the tensors' bytes without gaps.
namespace flexpert::codec {

/// The longest header that the format allows, in bytes.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// One tensor: row-major, little-endian, at [begin, end) of the file (bytes from the file's start).
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< the format's own name: "F32", "BF16", "F16", "I64", ...
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsTable {
  std::vector<SafetensorsEntry> tensors;  ///< by ascending position
  std::uint64_t data_begin = 0;           ///< bytes before the first tensor: 8 + header length
};

/// Reads and checks a header. `file_start` are the file's first bytes and must reach to the end of the header (more is
/// ignored); `file_size` is the whole file's size in bytes. Errors: kDataLoss when the file is shorter than it says,
/// kInvalidArgument for everything else that is wrong, naming the tensor.
Result<SafetensorsTable> parse_safetensors(std::span<const std::byte> file_start, std::uint64_t file_size);

/// Returns the bits of one element of a dtype of the format, or 0 for an unknown one.
std::uint32_t safetensors_dtype_bits(std::string_view dtype);

}  // namespace flexpert::codec
