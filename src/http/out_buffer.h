#pragma once

#include <cstring>
#include <string_view>

#include "http/block_pool.h"

namespace flexpert::http {

/// Bytes on their way out. Holds memory only while it holds bytes; whoever owns it clears it.
class OutBuffer {
 public:
  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] const char* data() const { return block_.data + begin_; }

  void append(BlockPool& pool, std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(pool, bytes.size()), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  /// Returns where the next bytes go, with room for `bytes`; then call added().
  char* room(BlockPool& pool, std::size_t bytes) {
    if (end_ + bytes > block_.capacity) make_room(pool, bytes);
    return block_.data + end_;
  }
  void added(std::size_t bytes) { end_ += bytes; }
  /// Forgets the first bytes, and all memory with the last.
  void consume(BlockPool& pool, std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) clear(pool);
  }
  void clear(BlockPool& pool) {
    pool.give(block_);
    begin_ = 0;
    end_ = 0;
  }

 private:
  void make_room(BlockPool& pool, std::size_t bytes);

  Block block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace flexpert::http
