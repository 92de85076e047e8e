#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/attention.h"

namespace flexpert::engine {

/// Keys and values of all layers in blocks that sequences borrow. The number of blocks can change while sequences hold some.
/// Belongs to the engine thread.
class KvCache {
 public:
  /// Addresses are reserved for `most_blocks` (0: as many as `blocks`), memory comes with use. Throws std::bad_alloc where that is
  /// not possible.
  KvCache(std::uint32_t layers, std::uint32_t blocks, std::uint32_t block_tokens, std::uint32_t kv_heads, std::uint32_t head_dim,
          std::uint32_t most_blocks = 0);

  [[nodiscard]] LayerCache layer(std::uint32_t layer) const;
  [[nodiscard]] std::uint32_t blocks_for(std::uint32_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  [[nodiscard]] std::uint32_t total() const { return blocks_; }
  [[nodiscard]] std::uint32_t most() const { return most_blocks_; }
  /// May be over total() for a while after it has shrunk.
  [[nodiscard]] std::uint32_t used() const { return used_; }
  [[nodiscard]] bool can_allocate(std::uint32_t count) const { return count <= free_.size() && used_ + count <= blocks_; }

  /// Takes `count` blocks; can_allocate(count) holds.
  std::vector<std::uint32_t> allocate(std::uint32_t count);
  void release(std::span<const std::uint32_t> blocks);
  /// Sets the number of blocks, in [1, most()]. Borrowed ones stay with their sequences; memory of those beyond it goes back to the
  /// system once none of them is borrowed.
  void resize(std::uint32_t blocks);

 private:
  /// Gives the memory of the blocks from blocks_ on back to the system.
  void give_back();

  std::uint32_t layers_;
  std::uint32_t blocks_;
  std::uint32_t most_blocks_;
  std::uint32_t block_tokens_;
  std::uint32_t kv_heads_;
  std::uint32_t head_dim_;
  std::size_t layer_floats_;
  std::unique_ptr<float[]> keys_;  // layers x most_blocks x block_tokens x kv_heads x head_dim; pages come with first use
  std::unique_ptr<float[]> values_;
  std::vector<std::uint32_t> free_;  // below blocks_
  std::vector<bool> borrowed_;
  std::uint32_t used_ = 0;
  std::uint32_t used_beyond_ = 0;  // of blocks_ and above
};

}  // namespace flexpert::engine
