#include "routing/hash_ring.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

namespace flexpert::routing {
namespace {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
constexpr double kLeastPoints = 8;
constexpr double kMostPoints = 2048;

}  // namespace

void HashRing::add_points(const Member& member, std::uint32_t index) {
  const double points = std::clamp(std::round(member.weight * static_cast<double>(kPointsPerWeight)), kLeastPoints, kMostPoints);
  for (std::uint64_t i = 1; i <= static_cast<std::uint64_t>(points); ++i) points_.push_back({mix(member.name_hash + i * kGolden), index});
}

void HashRing::assign(std::span<const Member> members) {
  if (std::equal(members.begin(), members.end(), members_.begin(), members_.end())) return;
  std::unordered_map<std::uint64_t, std::uint32_t> now;
  for (std::uint32_t i = 0; i < members.size(); ++i) now.emplace(members[i].name_hash, i);
  std::vector<std::uint32_t> moved(members_.size(), kGone);  // from the old index to the new one
  std::vector<bool> kept(members.size(), false);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto found = now.find(members_[i].name_hash);
    if (found == now.end() || members[found->second].weight != members_[i].weight) continue;
    moved[i] = found->second;
    kept[found->second] = true;
  }
  for (Point& point : points_) point.member = moved[point.member];
  std::erase_if(points_, [](const Point& point) { return point.member == kGone; });

  const auto old = static_cast<std::ptrdiff_t>(points_.size());
  for (std::uint32_t i = 0; i < members.size(); ++i)
    if (!kept[i]) add_points(members[i], i);
  const auto before = [](const Point& a, const Point& b) { return a.at < b.at; };
  std::sort(points_.begin() + old, points_.end(), before);
  std::inplace_merge(points_.begin(), points_.begin() + old, points_.end(), before);
  members_.assign(members.begin(), members.end());

  const std::size_t buckets = std::bit_ceil(std::max<std::size_t>(2, points_.size()));
  shift_ = 64 - std::countr_zero(buckets);
  starts_.resize(buckets);
  std::uint32_t at = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    while (at < points_.size() && (points_[at].at >> shift_) < bucket) ++at;
    starts_[bucket] = at;
  }
}

std::size_t HashRing::find(std::uint64_t key) const {
  std::size_t at = starts_[key >> shift_];
  while (at < points_.size() && points_[at].at < key) ++at;
  return at == points_.size() ? 0 : at;
}

}  // namespace flexpert::routing
