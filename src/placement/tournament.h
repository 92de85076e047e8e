#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace flexpert::placement {

/// Returns a number of 64 bits that orders as (weight, index) does: a smaller weight first, on ties a smaller index.
/// `weight` must not be negative (nor minus zero), nor NaN: the bits of such floats order as the floats do.
inline std::uint64_t ascending_key(float weight, std::uint32_t index) {
  return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(weight)) << 32 | index;
}

/// The same with a larger weight first, on ties still a smaller index.
inline std::uint64_t descending_key(float weight, std::uint32_t index) {
  return static_cast<std::uint64_t>(~std::bit_cast<std::uint32_t>(weight)) << 32 | index;
}

/// Returns the index in a key.
inline std::uint32_t index_of(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

/// The smallest of some keys, each of which may change: a tree of winners, log2(size) steps a change, no branches that
/// depend on the keys.
class Tournament {
 public:
  static constexpr std::uint64_t kOut = UINT64_MAX;  ///< never wins against a key

  explicit Tournament(std::uint32_t most) : tree_(2 * static_cast<std::size_t>(std::bit_ceil(std::max(most, 1U))), kOut) {}

  /// Starts anew with these keys, at most as many as it was made for.
  void start(std::span<const std::uint64_t> keys) {
    leaves_ = std::bit_ceil(std::max<std::uint32_t>(static_cast<std::uint32_t>(keys.size()), 1));
    std::copy(keys.begin(), keys.end(), tree_.begin() + leaves_);
    std::fill(tree_.begin() + leaves_ + static_cast<std::ptrdiff_t>(keys.size()), tree_.begin() + 2 * static_cast<std::ptrdiff_t>(leaves_),
              kOut);
    for (std::uint32_t i = leaves_; --i > 0;) tree_[i] = std::min(tree_[2 * i], tree_[2 * i + 1]);
  }
  [[nodiscard]] std::uint64_t best() const { return tree_[1]; }
  void change(std::uint32_t leaf, std::uint64_t key) {
    std::uint32_t i = leaves_ + leaf;
    tree_[i] = key;
    for (; i > 1; i >>= 1) tree_[i >> 1] = key = std::min(key, tree_[i ^ 1]);
  }

 private:
  std::vector<std::uint64_t> tree_;  // [1] the winner; the children of i are 2i and 2i+1
  std::uint32_t leaves_ = 1;
};

}  // namespace flexpert::placement
