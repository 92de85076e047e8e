#include "engine/kernels/packed_matrix.h"

#include <cstring>

#include "base/check.h"

namespace flexpert::engine {
namespace {

/// Where output `o` of a panel stands among the 16 weights of one input. f32 weights keep their order. bf16 weights are
/// paired: the 32-bit lane j holds output j in its low half and output j + 8 in its high half, so that one shift and
/// one mask turn a 256-bit load into the two vectors of outputs 0-7 and 8-15.
constexpr std::size_t place_in_panel(WeightType type, std::uint32_t o) {
  if (type == WeightType::kF32) return o;
  return o < 8 ? 2 * o : 2 * (o - 8) + 1;
}

std::uint32_t panels_of(std::uint32_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }

}  // namespace

std::size_t packed_bytes(WeightType type, std::uint32_t outputs, std::uint32_t inputs) {
  return static_cast<std::size_t>(panels_of(outputs)) * kPanelOutputs * inputs * size_of(type);
}

void pack_matrix(WeightType type, std::span<const std::byte> row_major, std::uint32_t outputs, std::uint32_t inputs,
                 std::byte* destination) {
  const std::size_t width = size_of(type);
  FLEXPERT_CHECK(row_major.size() == static_cast<std::size_t>(outputs) * inputs * width, "pack_matrix: the bytes do not fit the shape");
  for (std::uint32_t panel = 0; panel < panels_of(outputs); ++panel) {
    std::byte* base = destination + static_cast<std::size_t>(panel) * kPanelOutputs * inputs * width;
    for (std::uint32_t o = 0; o < kPanelOutputs; ++o) {
      const std::uint32_t output = panel * kPanelOutputs + o;
      std::byte* to = base + place_in_panel(type, o) * width;
      const std::byte* from = output < outputs ? row_major.data() + static_cast<std::size_t>(output) * inputs * width : nullptr;
      for (std::uint32_t i = 0; i < inputs; ++i) {
        std::byte* weight = to + static_cast<std::size_t>(i) * kPanelOutputs * width;
        if (from != nullptr) {
          std::memcpy(weight, from + i * width, width);
        } else {
          std::memset(weight, 0, width);
        }
      }
    }
  }
}

}  // namespace flexpert::engine
