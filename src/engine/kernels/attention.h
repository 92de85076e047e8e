#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace flexpert::engine {

/// Keys and values of one layer in blocks: a block holds `block_tokens` positions of kv_heads x head_dim floats.
struct LayerCache {
  float* keys = nullptr;
  float* values = nullptr;
  std::uint32_t block_tokens = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;

  /// Floats before position `position` of a sequence that lives in `blocks`.
  [[nodiscard]] std::size_t offset(std::span<const std::uint32_t> blocks, std::uint32_t position) const {
    const std::size_t token = static_cast<std::size_t>(blocks[position / block_tokens]) * block_tokens + position % block_tokens;
    return token * kv_heads * head_dim;
  }
};

/// Attention of one query row over positions [0, length) of its sequence: `query` and `out` hold heads x head_dim
/// floats, head h reads the keys of head h / (heads / kv_heads); only heads [head_begin, head_end) are computed.
/// Scores are scaled by 1 / sqrt(head_dim) and summed by ascending position. `scores` holds `length` floats of scratch.
void attend(const float* query, const LayerCache& cache, std::span<const std::uint32_t> blocks, std::uint32_t length, std::uint32_t heads,
            std::uint32_t head_begin, std::uint32_t head_end, float* out, float* scores);

}  // namespace flexpert::engine
