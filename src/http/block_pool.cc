#include "http/block_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace flexpert::http {
namespace {

constexpr std::size_t kSmallest = 512;
constexpr std::size_t kMostKept = std::size_t{96} << 20;
constexpr Duration kLookThrough = Seconds(5);

/// Returns which class has blocks of at least `bytes`: four for every doubling.
std::size_t class_of(std::size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const auto doubling = static_cast<std::size_t>(std::bit_width((bytes - 1) / kSmallest) - 1);
  const std::size_t quarter_bits = doubling + std::bit_width(kSmallest / 4) - 1;
  return doubling * 4 + ((bytes - (kSmallest << doubling) + (std::size_t{1} << quarter_bits) - 1) >> quarter_bits);
}

std::size_t size_of(std::size_t size_class) { return (kSmallest << (size_class / 4)) / 4 * (4 + size_class % 4); }

}  // namespace

BlockPool::~BlockPool() {
  for (SizeClass& size_class : classes_)
    while (size_class.first != nullptr) std::free(std::exchange(size_class.first, size_class.first->next));
}

Block BlockPool::take(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index < kClasses) {
    SizeClass& size_class = classes_[index];
    const std::size_t size = size_of(index);
    if (size_class.first != nullptr) {
      Free* const block = size_class.first;
      size_class.first = block->next;
      size_class.fewest = std::min(size_class.fewest, --size_class.count);
      kept_bytes_ -= size;
      return {.data = reinterpret_cast<char*>(block), .capacity = static_cast<std::uint32_t>(size)};
    }
    bytes = size;
  }
  FLEXPERT_CHECK(bytes <= UINT32_MAX, "a block is larger than 4 GiB");
  void* const memory = std::malloc(bytes);
  FLEXPERT_CHECK(memory != nullptr, "out of memory");
  return {.data = static_cast<char*>(memory), .capacity = static_cast<std::uint32_t>(bytes)};
}

void BlockPool::give(Block& block) {
  if (block.data == nullptr) return;
  const std::size_t index = class_of(block.capacity);
  if (index >= kClasses || kept_bytes_ + block.capacity > kMostKept) {
    std::free(block.data);
  } else {
    SizeClass& size_class = classes_[index];
    size_class.first = new (block.data) Free{size_class.first};
    ++size_class.count;
    kept_bytes_ += block.capacity;
    if (!armed()) set(kLookThrough);
  }
  block = {};
}

void BlockPool::grow(Block& block, std::size_t used, std::size_t bytes) {
  if (block.capacity >= bytes) return;
  Block larger = take(bytes);
  if (used > 0) std::memcpy(larger.data, block.data, used);
  give(block);
  block = larger;
}

void BlockPool::on_timeout() {
  for (std::size_t index = 0; index < kClasses; ++index) {
    SizeClass& size_class = classes_[index];
    const std::size_t size = size_of(index);
    for (; size_class.fewest > 0; --size_class.fewest, --size_class.count, kept_bytes_ -= size)
      std::free(std::exchange(size_class.first, size_class.first->next));
    size_class.fewest = size_class.count;
  }
  if (kept_bytes_ > 0) set(kLookThrough);
}

}  // namespace flexpert::http
