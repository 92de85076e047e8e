#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/attention.h"

namespace flexpert::engine {

/// Keys and values of all layers in blocks that sequences borrow. Belongs to the engine thread.
class KvCache {
 public:
  /// Throws std::bad_alloc where the memory is not there.
  KvCache(std::uint32_t layers, std::uint32_t blocks, std::uint32_t block_tokens, std::uint32_t kv_heads, std::uint32_t head_dim);

  [[nodiscard]] LayerCache layer(std::uint32_t layer) const;
  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  [[nodiscard]] std::uint32_t total() const { return blocks_; }
  [[nodiscard]] std::uint32_t used() const { return blocks_ - static_cast<std::uint32_t>(free_.size()); }
  [[nodiscard]] bool can_allocate(std::uint32_t count) const { return count <= free_.size(); }

  /// Takes `count` blocks; can_allocate(count) holds.
  std::vector<std::uint32_t> allocate(std::uint32_t count);
  void release(std::span<const std::uint32_t> blocks);

 private:
  std::uint32_t blocks_;
  std::uint32_t block_tokens_;
  std::uint32_t kv_heads_;
  std::uint32_t head_dim_;
  std::size_t layer_floats_;
  std::unique_ptr<float[]> keys_;  // layers x blocks x block_tokens x kv_heads x head_dim; pages come with first use
  std::unique_ptr<float[]> values_;
  std::vector<std::uint32_t> free_;
};

}  // namespace flexpert::engine
