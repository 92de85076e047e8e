#include "engine/kernels/attention.h"

#include <cmath>

#include "engine/kernels/kernel_table.h"

namespace flexpert::engine {

void attend(const float* query, const LayerCache& cache, std::span<const std::uint32_t> blocks, std::uint32_t length, std::uint32_t heads,
            std::uint32_t head_begin, std::uint32_t head_end, float* out, float* scores) {
  const KernelTable& kernels = active_kernels();
  const std::uint32_t heads_per_kv = heads / cache.kv_heads;
  const float scale = 1.0F / std::sqrt(static_cast<float>(cache.head_dim));
  for (std::uint32_t head = head_begin; head < head_end; ++head) {
    const std::size_t first = static_cast<std::size_t>(head / heads_per_kv) * cache.head_dim;
    const HeadCache view{.keys = cache.keys + first,
                         .values = cache.values + first,
                         .blocks = blocks.data(),
                         .block_tokens = cache.block_tokens,
                         .token_stride = static_cast<std::size_t>(cache.kv_heads) * cache.head_dim};
    const std::size_t at = static_cast<std::size_t>(head) * cache.head_dim;
    kernels.attend_head(query + at, view, length, cache.head_dim, scale, out + at, scores);
  }
}

}  // namespace flexpert::engine
