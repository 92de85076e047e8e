#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace flexpert::gateway {

/// Keeps freed memory of objects of one size, for objects that every request needs one of. Belongs to one thread and outlives
/// its objects.
template <std::size_t Size>
class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool() {
    for (void* block : free_) ::operator delete(block);
  }

  void* take() {
    if (free_.empty()) {
      ++made_;
      if (free_.capacity() < made_) free_.reserve(2 * made_);  // so that giving back never allocates
      return ::operator new(Size);
    }
    void* block = free_.back();
    free_.pop_back();
    return block;
  }
  void give(void* block) noexcept { free_.push_back(block); }

 private:
  std::vector<void*> free_;
  std::size_t made_ = 0;
};

}  // namespace flexpert::gateway
