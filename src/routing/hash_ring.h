#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace flexpert::routing {

/// Consistent hashing: every member has points on a ring, a key belongs to the member of the next point (Karger et al. 1997).
/// A member's points depend on its own name and weight only, so that one that leaves moves only its own keys, and they return
/// with it. Looking up costs a step into a table and about one comparison.
class HashRing {
 public:
  /// Points of a member of weight 1: shares differ by about a tenth.
  static constexpr std::size_t kPointsPerWeight = 128;

  struct Member {
    std::uint64_t name_hash = 0;
    double weight = 1;
    bool operator==(const Member&) const = default;
  };

  /// Makes the ring that of `members`, whose names differ. Linear in the points where only some members changed.
  void assign(std::span<const Member> members);
  [[nodiscard]] std::size_t size() const { return points_.size(); }
  /// Returns the index of the first point at or after `key`; below size(). The ring must not be empty.
  [[nodiscard]] std::size_t find(std::uint64_t key) const;
  /// Returns the index of the member that owns `point`.
  [[nodiscard]] std::uint32_t member(std::size_t point) const { return points_[point].member; }
  [[nodiscard]] std::size_t next(std::size_t point) const { return point + 1 == points_.size() ? 0 : point + 1; }

 private:
  static constexpr std::uint32_t kGone = std::numeric_limits<std::uint32_t>::max();
  struct Point {
    std::uint64_t at = 0;
    std::uint32_t member = 0;
  };
  void add_points(const Member& member, std::uint32_t index);

  std::vector<Member> members_;
  std::vector<Point> points_;          // sorted
  std::vector<std::uint32_t> starts_;  // for each value of a key's first bits: the first point at or after
  int shift_ = 63;
};

/// Spreads a hash over all 64 bits (the finaliser of SplitMix64).
constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace flexpert::routing
