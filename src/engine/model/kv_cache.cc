#include "engine/model/kv_cache.h"

#include "base/check.h"

namespace flexpert::engine {

KvCache::KvCache(std::uint32_t layers, std::uint32_t blocks, std::uint32_t block_tokens, std::uint32_t kv_heads, std::uint32_t head_dim)
    : blocks_(blocks),
      block_tokens_(block_tokens),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      layer_floats_(static_cast<std::size_t>(blocks) * block_tokens * kv_heads * head_dim),
      keys_(std::make_unique_for_overwrite<float[]>(layers * layer_floats_)),
      values_(std::make_unique_for_overwrite<float[]>(layers * layer_floats_)) {
  free_.reserve(blocks);
  for (std::uint32_t i = blocks; i-- > 0;) free_.push_back(i);
}

LayerCache KvCache::layer(std::uint32_t layer) const {
  return {keys_.get() + layer * layer_floats_, values_.get() + layer * layer_floats_, block_tokens_, kv_heads_, head_dim_};
}

std::vector<std::uint32_t> KvCache::allocate(std::uint32_t count) {
  FLEXPERT_CHECK(can_allocate(count), "KV blocks were not reserved");
  std::vector<std::uint32_t> taken(free_.end() - count, free_.end());
  free_.resize(free_.size() - count);
  return taken;
}

void KvCache::release(std::span<const std::uint32_t> blocks) { free_.insert(free_.end(), blocks.begin(), blocks.end()); }

}  // namespace flexpert::engine
