#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace flexpert::routing {

/// A binary heap of indices, each of which can be moved or removed in O(log n). `Less` orders two indices (the least is on top);
/// `Position` gives a reference to where an index keeps its place, which is kAbsent when it is not in the heap.
template <class Less, class Position>
class IndexedHeap {
 public:
  static constexpr std::uint32_t kAbsent = 0xffffffff;

  IndexedHeap(Less less, Position position) : less_(less), position_(position) {}

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::uint32_t top() const { return heap_.front(); }

  void push(std::uint32_t index) {
    heap_.push_back(index);
    place(heap_.size() - 1, index);
    rise(heap_.size() - 1);
  }
  void remove(std::uint32_t index) {
    const std::size_t at = position_(index);
    position_(index) = kAbsent;
    const std::uint32_t last = heap_.back();
    heap_.pop_back();
    if (last == index) return;
    place(at, last);
    update(last);
  }
  /// Must be called after what `index` is ordered by changed.
  void update(std::uint32_t index) { sink(rise(position_(index))); }
  /// Must be called after what many indices are ordered by changed. O(n).
  void rebuild() {
    for (std::size_t at = heap_.size() / 2; at-- > 0;) sink(at);
  }

 private:
  void place(std::size_t at, std::uint32_t index) {
    heap_[at] = index;
    position_(index) = static_cast<std::uint32_t>(at);
  }
  std::size_t rise(std::size_t at) {
    const std::uint32_t index = heap_[at];
    for (; at > 0 && less_(index, heap_[(at - 1) / 2]); at = (at - 1) / 2) place(at, heap_[(at - 1) / 2]);
    place(at, index);
    return at;
  }
  void sink(std::size_t at) {
    const std::uint32_t index = heap_[at];
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && less_(heap_[child + 1], heap_[child])) ++child;
      if (!less_(heap_[child], index)) break;
      place(at, heap_[child]);
      at = child;
    }
    place(at, index);
  }

  Less less_;
  Position position_;
  std::vector<std::uint32_t> heap_;
};

}  // namespace flexpert::routing
