#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "net/timer_wheel.h"

namespace flexpert::http {

/// A piece of memory of a BlockPool; null when it holds none.
struct Block {
  char* data = nullptr;
  std::uint32_t capacity = 0;
};

/// Memory for heads and bodies, in sizes a quarter of a doubling apart, so that a connection holds little more than it needs and a
/// busy loop asks the heap for nothing. What was not needed for a while goes back to the heap. One per loop, on its thread.
class BlockPool final : private net::CoarseTimer {
 public:
  explicit BlockPool(net::EventLoop& loop) : CoarseTimer(loop) {}
  ~BlockPool() override;

  /// Returns a block of at least `bytes` (at most 3 GiB).
  Block take(std::size_t bytes);
  /// Takes `block` back and empties it.
  void give(Block& block);
  /// Puts the first `used` bytes of `block` into one of at least `bytes`.
  void grow(Block& block, std::size_t used, std::size_t bytes);
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  struct Free {
    Free* next;
  };
  struct SizeClass {
    Free* first = nullptr;
    std::uint32_t count = 0;
    std::uint32_t fewest = 0;  ///< since the pool was looked through last: that many were not needed
  };
  static constexpr std::size_t kClasses = 64;  ///< 512 bytes to 28 MiB; larger blocks are never kept

  void on_timeout() override;

  std::array<SizeClass, kClasses> classes_{};
  std::size_t kept_bytes_ = 0;
};

}  // namespace flexpert::http
