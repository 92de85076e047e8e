#include "engine/model/kv_cache.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

namespace flexpert::engine {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

/// Whole pages inside [first, last) lose their content and their memory.
void drop_pages(float* first, float* last) {
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(first) + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(last) / kPageBytes * kPageBytes;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

KvCache::KvCache(std::uint32_t layers, std::uint32_t blocks, std::uint32_t block_tokens, std::uint32_t kv_heads, std::uint32_t head_dim,
                 std::uint32_t most_blocks)
    : layers_(layers),
      blocks_(blocks),
      most_blocks_(std::max(blocks, most_blocks)),
      block_tokens_(block_tokens),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      layer_floats_(static_cast<std::size_t>(most_blocks_) * block_tokens * kv_heads * head_dim),
      keys_(std::make_unique_for_overwrite<float[]>(layers * layer_floats_)),
      values_(std::make_unique_for_overwrite<float[]>(layers * layer_floats_)),
      borrowed_(most_blocks_, false) {
  free_.reserve(most_blocks_);
  for (std::uint32_t i = blocks; i-- > 0;) free_.push_back(i);
}

LayerCache KvCache::layer(std::uint32_t layer) const {
  return {keys_.get() + layer * layer_floats_, values_.get() + layer * layer_floats_, block_tokens_, kv_heads_, head_dim_};
}

std::vector<std::uint32_t> KvCache::allocate(std::uint32_t count) {
  FLEXPERT_CHECK(can_allocate(count), "KV blocks were not reserved");
  std::vector<std::uint32_t> taken(free_.end() - count, free_.end());
  free_.resize(free_.size() - count);
  for (const std::uint32_t block : taken) borrowed_[block] = true;
  used_ += count;
  return taken;
}

void KvCache::release(std::span<const std::uint32_t> blocks) {
  const bool beyond = used_beyond_ > 0;
  for (const std::uint32_t block : blocks) {
    borrowed_[block] = false;
    if (block < blocks_) free_.push_back(block);
    else --used_beyond_;
  }
  used_ -= static_cast<std::uint32_t>(blocks.size());
  if (beyond && used_beyond_ == 0) give_back();
}

void KvCache::resize(std::uint32_t blocks) {
  FLEXPERT_CHECK(blocks >= 1 && blocks <= most_blocks_, "KV blocks out of range");
  blocks_ = blocks;
  free_.clear();
  used_beyond_ = 0;
  for (std::uint32_t i = most_blocks_; i-- > 0;) {
    if (i < blocks && !borrowed_[i]) free_.push_back(i);
    if (i >= blocks && borrowed_[i]) ++used_beyond_;
  }
  if (used_beyond_ == 0) give_back();
}

void KvCache::give_back() {
  const std::size_t block_floats = static_cast<std::size_t>(block_tokens_) * kv_heads_ * head_dim_;
  for (std::uint32_t l = 0; l < layers_; ++l) {
    for (float* const base : {keys_.get(), values_.get()}) {
      float* const layer_begin = base + l * layer_floats_;
      drop_pages(layer_begin + blocks_ * block_floats, layer_begin + layer_floats_);
    }
  }
}

}  // namespace flexpert::engine
