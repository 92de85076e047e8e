#include "placement/moves.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

/// Carries the moves out one by one; every source must hold what is copied, on a living device.
ExpertLayout carry_out(const ExpertLayout& from, const MoveList& list, const ExpertCluster& cluster) {
  ExpertLayout now = from;
  const auto device_of = device_of_slots(from.slots_of_device);
  for (const SlotMove& move : list.moves) {
    auto row = now.layer(move.layer);
    EXPECT_EQ(row[move.slot], move.from_expert);
    EXPECT_TRUE(cluster.devices[device_of[move.slot]].alive);
    if (move.to_expert != kEmptySlot && move.kind != MoveKind::kLoad) {
      EXPECT_EQ(row[move.source_slot], move.to_expert) << "layer " << move.layer << " slot " << move.slot;
      const ExpertDevice& a = cluster.devices[device_of[move.source_slot]];
      const ExpertDevice& b = cluster.devices[device_of[move.slot]];
      EXPECT_TRUE(a.alive);
      EXPECT_EQ(move.kind, device_of[move.source_slot] == device_of[move.slot] ? MoveKind::kSameDevice
                           : a.node == b.node                                   ? MoveKind::kSameNode
                                                                                : MoveKind::kCrossNode);
    }
    row[move.slot] = move.to_expert;
  }
  return now;
}

ExpertLayout random_layout(ExpertGeometry geometry, const ExpertCluster& cluster, Rng& rng) {
  ExpertLayout out{geometry, {}, {}};
  for (const ExpertDevice& device : cluster.devices) out.slots_of_device.push_back(device.slots);
  for (std::size_t i = 0; i < static_cast<std::size_t>(geometry.layers) * out.slots(); ++i)
    out.expert_of_slot.push_back(rng.below(10) == 0 ? kEmptySlot : static_cast<std::int32_t>(rng.below(geometry.experts)));
  return out;
}

ExpertCluster random_cluster(Rng& rng) {
  ExpertCluster out;
  const auto devices = static_cast<std::uint32_t>(1 + rng.below(6));
  for (std::uint32_t d = 0; d < devices; ++d)
    out.devices.push_back({d / 2, d / 2, static_cast<std::uint32_t>(1 + rng.below(4)), 1, rng.below(6) > 0});
  return out;
}

TEST(Moves, OfAnyTwoLayoutsCanBeCarriedOutOneByOne) {
  Rng rng(3);
  for (int round = 0; round < 3000; ++round) {
    const ExpertCluster cluster = random_cluster(rng);
    const ExpertGeometry geometry{static_cast<std::uint32_t>(1 + rng.below(3)), static_cast<std::uint32_t>(1 + rng.below(8))};
    const ExpertLayout from = random_layout(geometry, cluster, rng);
    const ExpertLayout to = random_layout(geometry, cluster, rng);
    const MoveList list = moves_between(from, to, cluster, 10);
    const ExpertLayout now = carry_out(from, list, cluster);
    const auto device_of = device_of_slots(from.slots_of_device);
    std::uint64_t same = 0;
    std::uint64_t living = 0;
    for (std::uint32_t layer = 0; layer < geometry.layers; ++layer)
      for (std::uint32_t slot = 0; slot < device_of.size(); ++slot) {
        if (!cluster.devices[device_of[slot]].alive) continue;
        ++living;
        same += from.layer(layer)[slot] == to.layer(layer)[slot];
        ASSERT_EQ(now.layer(layer)[slot], to.layer(layer)[slot]);
      }
    EXPECT_EQ(list.unchanged, same);
    EXPECT_EQ(list.changed(), living - same);
    EXPECT_EQ(list.moves.size(), list.changed());
    EXPECT_EQ(list.bytes, 10 * (list.same_node + list.cross_node + list.load));
  }
}

TEST(Moves, TakeTheNearestCopy) {
  const ExpertCluster cluster = ExpertCluster::uniform(4, 2, 2);
  const ExpertLayout from{{1, 3}, {2, 2, 2, 2}, {0, 1, 2, 1, 2, 0, 2, 2}};
  const ExpertLayout to{{1, 3}, {2, 2, 2, 2}, {0, 2, 2, 0, 2, 1, 2, 2}};
  const MoveList list = moves_between(from, to, cluster, 1);
  ASSERT_EQ(list.moves.size(), 3U);
  EXPECT_EQ(list.same_node, 2U) << "2 from device 1, 0 from device 0";
  EXPECT_EQ(list.cross_node, 1U) << "1 from device 0 or 1";
  EXPECT_EQ(list.unchanged, 5U);
}

TEST(Moves, OnlyACircleWithoutAnotherCopyNeedsStorage) {
  const ExpertCluster cluster = ExpertCluster::uniform(3, 1, 1);
  const MoveList swap = moves_between({{1, 2}, {1, 1, 1}, {0, 1, kEmptySlot}}, {{1, 2}, {1, 1, 1}, {1, 0, kEmptySlot}}, cluster);
  EXPECT_EQ(swap.load, 1U);
  EXPECT_EQ(swap.same_node, 1U);
  const MoveList helped = moves_between({{1, 2}, {1, 1, 1}, {0, 1, 1}}, {{1, 2}, {1, 1, 1}, {1, 0, 1}}, cluster);
  EXPECT_EQ(helped.load, 0U) << "the third device still has expert 1";
  const MoveList made = moves_between({{1, 2}, {1, 1, 1}, {0, 1, kEmptySlot}}, {{1, 2}, {1, 1, 1}, {1, 0, 0}}, cluster);
  EXPECT_EQ(made.load, 0U) << "the new copy of expert 0 on the third device serves";
}

TEST(Moves, AnExpertOfADeadDeviceAloneComesFromStorage) {
  ExpertCluster cluster = ExpertCluster::uniform(2, 1, 2);
  cluster.devices[0].alive = false;
  const MoveList list = moves_between({{1, 2}, {2, 2}, {0, 1, 1, kEmptySlot}}, {{1, 2}, {2, 2}, {kEmptySlot, kEmptySlot, 1, 0}}, cluster);
  ASSERT_EQ(list.moves.size(), 1U);
  EXPECT_EQ(list.moves[0].kind, MoveKind::kLoad);
}

TEST(Moves, AlignedSlotsKeepWhatTheDeviceKeeps) {
  Rng rng(5);
  for (int round = 0; round < 500; ++round) {
    const ExpertCluster cluster = random_cluster(rng);
    const ExpertLayout from = random_layout({2, 5}, cluster, rng);
    const ExpertLayout wanted = random_layout({2, 5}, cluster, rng);
    ExpertLayout to = wanted;
    align_slots(from, to);
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      std::size_t first = 0;
      for (const std::uint32_t slots : from.slots_of_device) {
        std::vector<std::int32_t> had(&from.layer(layer)[first], &from.layer(layer)[first] + slots);
        std::vector<std::int32_t> want(&wanted.layer(layer)[first], &wanted.layer(layer)[first] + slots);
        std::vector<std::int32_t> got(&to.layer(layer)[first], &to.layer(layer)[first] + slots);
        std::size_t same = 0;
        for (std::size_t s = 0; s < slots; ++s) same += had[s] == got[s];
        for (auto* list : {&had, &want, &got}) std::sort(list->begin(), list->end());
        ASSERT_EQ(want, got);
        std::vector<std::int32_t> common;
        std::set_intersection(had.begin(), had.end(), want.begin(), want.end(), std::back_inserter(common));
        ASSERT_EQ(same, common.size());
        first += slots;
      }
    }
  }
}

}  // namespace
}  // namespace flexpert::placement
