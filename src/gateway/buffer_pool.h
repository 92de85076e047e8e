#pragma once

#include <string>
#include <utility>
#include <vector>

namespace flexpert::gateway {

/// Text buffers that keep their memory from request to request, so that a request on its way holds one only while it needs it.
/// Belongs to one thread.
class BufferPool {
 public:
  /// Returns an empty buffer, with memory if one is at hand.
  std::string take() {
    if (free_.empty()) return {};
    std::string buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  /// Gives `buffer` memory, if it has none and some is at hand.
  void fill(std::string& buffer) {
    if (buffer.capacity() < kSmallest) buffer = take();
  }
  /// Takes a buffer back and leaves an empty one without memory.
  void give(std::string& buffer) {
    if (buffer.capacity() >= kSmallest && buffer.capacity() <= kLargest && free_.size() < kMost) {
      buffer.clear();
      free_.push_back(std::move(buffer));
    }
    buffer = std::string();
  }

 private:
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::size_t kLargest = 64 * 1024;
  static constexpr std::size_t kMost = 256;
  std::vector<std::string> free_;
};

}  // namespace flexpert::gateway
