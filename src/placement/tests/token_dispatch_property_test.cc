#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "allocations.h"
#include "placement/ideal_split.h"
#include "placement/token_dispatch.h"

namespace flexpert::placement {
namespace {

constexpr DispatchPolicy kPolicies[] = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                        DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                        DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};
constexpr std::uint32_t kExperts = 24;
constexpr std::uint32_t kTopK = 3;

ExpertLayout draw_layout(Rng& rng, std::uint32_t devices, std::uint32_t slots) {
  ExpertLayout out = trivial_layout({1, kExperts}, std::vector<std::uint32_t>(devices, slots));
  for (std::size_t slot = kExperts; slot < out.expert_of_slot.size(); ++slot)
    out.expert_of_slot[slot] = rng.below(8) == 0 ? kEmptySlot : static_cast<std::int32_t>(rng.below(kExperts));
  for (std::size_t i = out.expert_of_slot.size(); i > 1; --i) std::swap(out.expert_of_slot[i - 1], out.expert_of_slot[rng.below(i)]);
  return out;
}

struct Batch {
  std::vector<std::uint8_t> experts;
  std::vector<std::uint16_t> source;
};

Batch draw_batch(Rng& rng, std::uint32_t tokens, std::uint32_t devices) {
  Batch out;
  for (std::uint32_t t = 0; t < tokens; ++t) {
    out.source.push_back(static_cast<std::uint16_t>(rng.below(devices)));
    for (std::uint32_t k = 0; k < kTopK; ++k) out.experts.push_back(static_cast<std::uint8_t>(rng.below(1 + rng.below(kExperts))));
  }
  return out;
}

TEST(TokenDispatchProperty, EveryRowGoesToALivingReplicaAndIsCounted) {
  Rng rng(31);
  for (int round = 0; round < 60; ++round) {
    auto cluster = ExpertCluster::uniform(6, 2, 6);
    for (auto& device : cluster.devices) device.alive = rng.below(6) != 0;
    const ExpertLayout layout = draw_layout(rng, 6, 6);
    const Batch batch = draw_batch(rng, static_cast<std::uint32_t>(rng.below(80)), 6);
    for (const DispatchPolicy policy : kPolicies) {
      TokenDispatch dispatch(layout, 0, cluster, policy);
      std::vector<std::uint32_t> slots(batch.experts.size());
      dispatch.assign(batch.experts, kTopK, batch.source, slots);
      std::vector<std::uint32_t> tokens(6, 0);
      for (std::size_t i = 0; i < slots.size(); ++i) {
        bool served = false;
        for (std::size_t s = 0; s < 36; ++s) served |= layout.expert_of_slot[s] == batch.experts[i] && cluster.devices[s / 6].alive;
        ASSERT_EQ(slots[i] != UINT32_MAX, served) << name_of(policy);
        if (!served) continue;
        ASSERT_EQ(layout.expert_of_slot[slots[i]], batch.experts[i]) << name_of(policy);
        ASSERT_TRUE(cluster.devices[slots[i] / 6].alive) << name_of(policy);
        ++tokens[slots[i] / 6];
      }
      EXPECT_TRUE(std::ranges::equal(tokens, dispatch.device_tokens())) << name_of(policy);
    }
  }
}

TEST(TokenDispatchProperty, NoPolicyIsMoreEvenThanLeastLoaded) {
  Rng rng(32);
  for (int round = 0; round < 60; ++round) {
    const auto cluster = ExpertCluster::uniform(6, 2, 6);
    const ExpertLayout layout = draw_layout(rng, 6, 6);
    const Batch batch = draw_batch(rng, 64, 6);
    const auto most_of = [&](DispatchPolicy policy) {
      TokenDispatch dispatch(layout, 0, cluster, policy);
      std::vector<std::uint32_t> slots(batch.experts.size());
      dispatch.assign(batch.experts, kTopK, batch.source, slots);
      return std::ranges::max(dispatch.device_tokens());
    };
    for (const DispatchPolicy policy : kPolicies) EXPECT_LE(most_of(DispatchPolicy::kLeastLoaded), most_of(policy)) << name_of(policy);
  }
}

TEST(TokenDispatchProperty, LeastActivatedActivatesEachExpertOnceAndSpreadsThem) {
  Rng rng(33);
  for (int round = 0; round < 60; ++round) {
    const auto cluster = ExpertCluster::uniform(6, 1, 6);
    const ExpertLayout layout = draw_layout(rng, 6, 6);
    const Batch batch = draw_batch(rng, 40, 6);
    TokenDispatch dispatch(layout, 0, cluster, DispatchPolicy::kLeastActivatedExperts);
    std::vector<std::uint32_t> slots(batch.experts.size());
    dispatch.assign(batch.experts, kTopK, batch.source, slots);
    const std::set<std::uint32_t> used(slots.begin(), slots.end());
    const std::set<std::uint8_t> distinct(batch.experts.begin(), batch.experts.end());
    EXPECT_EQ(used.size(), distinct.size());
    std::vector<std::uint32_t> active(6, 0);
    for (const std::uint32_t slot : used) ++active[slot / 6];
    std::vector<double> one_each(kExperts, 0);
    for (const std::uint8_t e : distinct) one_each[e] = 1;
    EXPECT_LT(std::ranges::max(active), ideal_max_load(one_each, layout.expert_of_slot, cluster) + 1 - 1e-6);
  }
}

TEST(TokenDispatchProperty, LocalityLeavesTheDeviceOnlyWithoutAReplicaThere) {
  Rng rng(34);
  const auto cluster = ExpertCluster::uniform(6, 3, 6);
  const ExpertLayout layout = draw_layout(rng, 6, 6);
  const Batch batch = draw_batch(rng, 200, 6);
  for (const DispatchPolicy policy : {DispatchPolicy::kStatic, DispatchPolicy::kLocalityFirst}) {
    TokenDispatch dispatch(layout, 0, cluster, policy);
    std::vector<std::uint32_t> slots(batch.experts.size());
    dispatch.assign(batch.experts, kTopK, batch.source, slots);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::uint32_t from = batch.source[i / kTopK];
      bool here = false;
      bool near = false;
      for (std::size_t s = 0; s < 36; ++s) {
        if (layout.expert_of_slot[s] != batch.experts[i]) continue;
        here |= s / 6 == from;
        near |= s / 12 == from / 2;
      }
      EXPECT_EQ(slots[i] / 6 == from, here) << name_of(policy);
      EXPECT_EQ(slots[i] / 12 == from / 2, near) << name_of(policy);
    }
  }
}

TEST(TokenDispatchProperty, AssigningAllocatesNothing) {
  Rng rng(35);
  const auto cluster = ExpertCluster::uniform(6, 2, 6);
  const ExpertLayout layout = draw_layout(rng, 6, 6);
  std::vector<Batch> batches;
  for (int i = 0; i < 20; ++i) batches.push_back(draw_batch(rng, static_cast<std::uint32_t>(rng.below(300)), 6));
  std::vector<std::uint32_t> slots(1000);
  ASSERT_GT(allocations(), 0U);
  for (const DispatchPolicy policy : kPolicies) {
    TokenDispatch dispatch(layout, 0, cluster, policy);
    const std::uint64_t before = allocations();
    for (const Batch& batch : batches) dispatch.assign(batch.experts, kTopK, batch.source, std::span(slots).first(batch.experts.size()));
    EXPECT_EQ(allocations(), before) << name_of(policy);
  }
}

}  // namespace
}  // namespace flexpert::placement
