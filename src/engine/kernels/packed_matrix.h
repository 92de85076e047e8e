#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace flexpert::engine {

enum class WeightType : std::uint32_t { kF32 = 0, kBF16 = 1 };

constexpr std::size_t size_of(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }

/// Outputs per panel of the packed layout.
inline constexpr std::uint32_t kPanelOutputs = 16;

/// A weight matrix [outputs, inputs] laid out for matmul(): panels of 16 outputs; inside a panel, for each input in
/// turn, its 16 weights side by side (bf16: the outputs 0, 8, 1, 9, ..., 7, 15, which unpack with one shift and one mask;
/// f32: in order). The last panel is filled with zeros. Data is 64-byte aligned.
struct PackedMatrix {
  const std::byte* data = nullptr;
  WeightType type = WeightType::kF32;
  std::uint32_t outputs = 0;
  std::uint32_t inputs = 0;
};

/// Bytes of the packed form (a multiple of 64 is not promised; callers align each matrix themselves).
std::size_t packed_bytes(WeightType type, std::uint32_t outputs, std::uint32_t inputs);
/// Packs a row-major [outputs, inputs] matrix of the same type into `destination` (packed_bytes() long).
void pack_matrix(WeightType type, std::span<const std::byte> row_major, std::uint32_t outputs, std::uint32_t inputs,
                 std::byte* destination);

/// The weights of one expert: out = down( silu(gate x) * (up x) ).
struct ExpertWeights {
  PackedMatrix gate;
  PackedMatrix up;
  PackedMatrix down;
};

}  // namespace flexpert::engine
