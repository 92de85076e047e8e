#include "placement/token_dispatch.h"

#include <set>

#include <gtest/gtest.h>

namespace flexpert::placement {
namespace {

constexpr DispatchPolicy kPolicies[] = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                        DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                        DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};

ExpertLayout layout_of(std::uint32_t experts, std::vector<std::uint32_t> slots_of_device, std::vector<std::int32_t> row) {
  return {{1, experts}, std::move(slots_of_device), std::move(row)};
}

std::vector<std::uint32_t> slots_for(TokenDispatch& dispatch, const std::vector<std::uint8_t>& experts, std::uint32_t top_k = 1,
                                     const std::vector<std::uint16_t>& source = {}) {
  std::vector<std::uint32_t> slots(experts.size());
  dispatch.assign(experts, top_k, source, slots);
  return slots;
}

using Slots = std::vector<std::uint32_t>;

TEST(TokenDispatch, NamesReadBack) {
  for (const DispatchPolicy policy : kPolicies) EXPECT_EQ(parse_dispatch_policy(name_of(policy)).value(), policy);
  EXPECT_FALSE(parse_dispatch_policy("least").has_value());
}

TEST(TokenDispatch, StaticTakesTheOwnDeviceThenTheNodeThenByNumber) {
  auto cluster = ExpertCluster::uniform(4, 2, 2);
  const auto layout = layout_of(3, {2, 2, 2, 2}, {0, 1, 0, 2, 1, 2, 2, 1});
  TokenDispatch dispatch(layout, 0, cluster, DispatchPolicy::kStatic);
  EXPECT_EQ(slots_for(dispatch, {0, 0, 0, 0}, 1, {0, 1, 2, 3}), (Slots{0, 2, 0, 2}));
  EXPECT_EQ(slots_for(dispatch, {1, 1, 1, 1}, 1, {0, 1, 2, 3}), (Slots{1, 1, 4, 7}));
}

TEST(TokenDispatch, RoundRobinTakesTurnsAcrossBatches) {
  const auto cluster = ExpertCluster::uniform(3, 1, 1);
  TokenDispatch dispatch(layout_of(1, {1, 1, 1}, {0, 0, 0}), 0, cluster, DispatchPolicy::kRoundRobin);
  EXPECT_EQ(slots_for(dispatch, {0, 0, 0, 0}), (Slots{0, 1, 2, 0}));
  EXPECT_EQ(slots_for(dispatch, {0, 0}), (Slots{1, 2}));
}

TEST(TokenDispatch, RandomUsesAllReplicasAlikeAndTheSameSeedAlike) {
  const auto cluster = ExpertCluster::uniform(4, 1, 1);
  const auto layout = layout_of(1, {1, 1, 1, 1}, {0, 0, 0, 0});
  TokenDispatch first(layout, 0, cluster, DispatchPolicy::kRandom, 9);
  TokenDispatch second(layout, 0, cluster, DispatchPolicy::kRandom, 9);
  const std::vector<std::uint8_t> tokens(4000, 0);
  EXPECT_EQ(slots_for(first, tokens), slots_for(second, tokens));
  for (const std::uint32_t count : first.device_tokens()) EXPECT_NEAR(count, 1000, 150);
}

TEST(TokenDispatch, LeastLoadedGoesRoundWhatHasNoChoice) {
  const auto cluster = ExpertCluster::uniform(2, 1, 2);
  TokenDispatch dispatch(layout_of(3, {2, 2}, {0, 1, 0, 2}), 0, cluster, DispatchPolicy::kLeastLoaded);
  slots_for(dispatch, {0, 0, 0, 0, 1, 1, 1, 1, 1, 2});
  EXPECT_EQ(dispatch.device_tokens()[0], 5U);
  EXPECT_EQ(dispatch.device_tokens()[1], 5U);
}

TEST(TokenDispatch, LeastLoadedKeepsRowsOnTheirDeviceWhereThatCostsNothing) {
  const auto cluster = ExpertCluster::uniform(2, 1, 1);
  TokenDispatch dispatch(layout_of(1, {1, 1}, {0, 0}), 0, cluster, DispatchPolicy::kLeastLoaded);
  EXPECT_EQ(slots_for(dispatch, {0, 0, 0, 0}, 1, {1, 0, 1, 0}), (Slots{1, 0, 1, 0}));
  EXPECT_EQ(slots_for(dispatch, {0, 0, 0, 0}, 1, {1, 1, 1, 0}), (Slots{1, 1, 0, 0}));
}

TEST(TokenDispatch, LeastActivatedUsesOneReplicaOfEachExpert) {
  const auto cluster = ExpertCluster::uniform(2, 1, 4);
  TokenDispatch dispatch(layout_of(4, {4, 4}, {0, 1, 2, 3, 0, 1, 2, 3}), 0, cluster, DispatchPolicy::kLeastActivatedExperts);
  const auto slots = slots_for(dispatch, {0, 0, 0, 0, 1, 1, 1, 2, 2, 3});
  EXPECT_EQ(std::set(slots.begin(), slots.end()).size(), 4U);
  EXPECT_EQ(dispatch.device_tokens()[0], 5U);
  EXPECT_EQ(dispatch.device_tokens()[1], 5U);
}

TEST(TokenDispatch, LocalityStaysOnTheDeviceThenOnTheNode) {
  auto cluster = ExpertCluster::uniform(4, 2, 1);
  TokenDispatch dispatch(layout_of(1, {1, 1, 1, 1}, {0, kEmptySlot, 0, 0}), 0, cluster, DispatchPolicy::kLocalityFirst);
  EXPECT_EQ(slots_for(dispatch, {0, 0, 0, 0}, 1, {0, 1, 2, 3}), (Slots{0, 0, 2, 3}));
}

TEST(TokenDispatch, DeadDevicesServeNothing) {
  auto cluster = ExpertCluster::uniform(2, 1, 2);
  cluster.devices[0].alive = false;
  for (const DispatchPolicy policy : kPolicies) {
    TokenDispatch dispatch(layout_of(2, {2, 2}, {0, 1, 1, kEmptySlot}), 0, cluster, policy);
    EXPECT_EQ(slots_for(dispatch, {0, 1, 1, 7}), (Slots{UINT32_MAX, 2, 2, UINT32_MAX})) << name_of(policy);
    EXPECT_EQ(dispatch.device_tokens()[1], 2U);
  }
}

TEST(TokenDispatch, WideNumbersGiveTheSame) {
  const auto cluster = ExpertCluster::uniform(2, 1, 2);
  for (const DispatchPolicy policy : kPolicies) {
    TokenDispatch dispatch(layout_of(3, {2, 2}, {0, 1, 0, 2}), 0, cluster, policy);
    TokenDispatch same = dispatch;
    const std::vector<std::uint16_t> wide{0, 0, 1, 2, 0, 999};
    Slots slots(wide.size());
    same.assign(wide, 1, {}, slots);
    EXPECT_EQ(slots, slots_for(dispatch, {0, 0, 1, 2, 0, 200})) << name_of(policy);
  }
}

}  // namespace
}  // namespace flexpert::placement
