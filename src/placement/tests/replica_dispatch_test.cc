#include "placement/replica_dispatch.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

const std::vector<std::uint16_t> kBoth{0, 1};
const std::vector<std::uint16_t> kFirst{0};

std::vector<DispatchPiece> assign(std::vector<ReplicaLoad> endpoints, std::vector<DispatchGroup> groups) {
  ReplicaDispatch dispatch;
  const auto pieces = dispatch.assign(endpoints, groups);
  return {pieces.begin(), pieces.end()};
}

TEST(ReplicaDispatch, AGroupWithoutALiveReplicaHasNoPiece) {
  EXPECT_TRUE(assign({{.alive = false}, {.alive = false}}, {{4, kBoth}}).empty());
  EXPECT_TRUE(assign({{.alive = true}}, {{4, {}}}).empty());
}

TEST(ReplicaDispatch, TheDeadAreAvoided) {
  EXPECT_EQ(assign({{.alive = false}, {.alive = true}}, {{4, kBoth}}), (std::vector<DispatchPiece>{{0, 1, 0, 4}}));
}

TEST(ReplicaDispatch, TheShorterQueueIsTaken) {
  EXPECT_EQ(assign({{.alive = true, .queue_rows = 100}, {.alive = true}}, {{2, kBoth}}), (std::vector<DispatchPiece>{{0, 1, 0, 2}}));
}

TEST(ReplicaDispatch, TheFasterServerGetsMoreRows) {
  const auto pieces = assign({{.alive = true, .ns_per_row = 1000}, {.alive = true, .ns_per_row = 3000}}, {{100, kBoth}});
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0], (DispatchPiece{0, 0, 0, 75}));
  EXPECT_EQ(pieces[1], (DispatchPiece{0, 1, 75, 25}));
}

TEST(ReplicaDispatch, AHotExpertIsSharedByItsReplicas) {
  const auto pieces = assign({{.alive = true}, {.alive = true}}, {{64, kBoth}});
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0].count, 32U);
  EXPECT_EQ(pieces[1].count, 32U);
}

TEST(ReplicaDispatch, ReadingTheWeightsTwiceIsWeighedAgainstSharing) {
  const ReplicaLoad costly{.alive = true, .ns_per_row = 100, .ns_per_expert = 100000};
  EXPECT_EQ(assign({costly, costly}, {{8, kBoth}}).size(), 1U);
  EXPECT_EQ(assign({costly, costly}, {{20000, kBoth}}).size(), 2U);
}

TEST(ReplicaDispatch, AFewRowsAreNotWorthASecondMessage) {
  const ReplicaLoad endpoint{.alive = true, .ns_per_row = 1000, .ns_per_batch = 10000};
  const auto few = assign({endpoint, endpoint}, {{1, kBoth}, {1, kBoth}, {2, kBoth}});
  EXPECT_TRUE(std::ranges::all_of(few, [&](const DispatchPiece& piece) { return piece.endpoint == few[0].endpoint; }));
  const auto many = assign({endpoint, endpoint}, {{100, kBoth}, {100, kBoth}});
  EXPECT_NE(many[0].endpoint, many[1].endpoint);
}

TEST(ReplicaDispatch, EqualsTakeTurns) {
  ReplicaDispatch dispatch;
  const std::vector<ReplicaLoad> endpoints(3, {.alive = true});
  const std::vector<std::uint16_t> all{0, 1, 2};
  const std::vector<DispatchGroup> groups{{1, all}};
  for (std::uint64_t turn = 0; turn < 9; ++turn) EXPECT_EQ(dispatch.assign(endpoints, groups, turn)[0].endpoint, turn % 3);
}

TEST(ReplicaDispatch, GroupsThatHaveAChoiceMakeRoomForThoseThatHaveNone) {
  const auto pieces = assign({{.alive = true}, {.alive = true}}, {{10, kBoth}, {10, kFirst}});
  EXPECT_EQ(pieces, (std::vector<DispatchPiece>{{0, 1, 0, 10}, {1, 0, 0, 10}}));
}

constexpr DispatchPolicy kPolicies[] = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                        DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                        DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};

/// Every row of every group with a live replica is given away once, to a live replica of that group.
TEST(ReplicaDispatch, EveryRowGoesToExactlyOneReplica) {
  Rng rng(11);
  std::vector<ReplicaDispatch> dispatches;
  for (const DispatchPolicy policy : kPolicies) dispatches.emplace_back(policy, 3);
  for (int round = 0; round < 3000; ++round) {
    ReplicaDispatch& dispatch = dispatches[static_cast<std::size_t>(round) % dispatches.size()];
    std::vector<ReplicaLoad> endpoints(1 + rng.below(8));
    for (auto& e : endpoints)
      e = {rng.below(4) != 0,  static_cast<double>(rng.below(200)), 1 + rng.uniform() * 5000, rng.uniform() * 50000 * rng.below(2), 0,
           rng.below(2) != 0};
    std::vector<std::vector<std::uint16_t>> replicas(1 + rng.below(20));
    std::vector<DispatchGroup> groups;
    for (auto& list : replicas) {
      for (std::uint16_t e = 0; e < endpoints.size(); ++e)
        if (rng.below(2) != 0) list.push_back(e);
      groups.push_back({1 + static_cast<std::uint32_t>(rng.below(200)), list, static_cast<std::uint32_t>(groups.size())});
    }
    const auto pieces = dispatch.assign(endpoints, groups);
    std::vector<std::uint32_t> next(groups.size(), 0);
    std::map<std::pair<std::uint32_t, std::uint16_t>, int> seen;
    for (const DispatchPiece& piece : pieces) {
      EXPECT_EQ(piece.first, next[piece.group]);
      EXPECT_GT(piece.count, 0U);
      EXPECT_TRUE(endpoints[piece.endpoint].alive);
      EXPECT_TRUE(std::ranges::find(replicas[piece.group], piece.endpoint) != replicas[piece.group].end());
      EXPECT_EQ((++seen[{piece.group, piece.endpoint}]), 1);
      next[piece.group] += piece.count;
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const bool alive = std::ranges::any_of(replicas[g], [&](std::uint16_t e) { return endpoints[e].alive; });
      EXPECT_EQ(next[g], alive ? groups[g].rows : 0U);
    }
  }
}

TEST(ReplicaDispatch, StaticKeepsItsReplicaWhileItLives) {
  ReplicaDispatch dispatch(DispatchPolicy::kStatic, 1);
  std::vector<ReplicaLoad> endpoints(3, {.alive = true, .queue_rows = 1000});
  const std::vector<std::uint16_t> all{0, 1, 2};
  const std::vector<DispatchGroup> groups{{9, all, 7}, {9, all, 8}};
  for (std::uint64_t turn = 0; turn < 3; ++turn) {
    const auto pieces = dispatch.assign(endpoints, groups, turn);
    EXPECT_TRUE(std::ranges::equal(pieces, std::vector<DispatchPiece>{{0, 2, 0, 9}, {1, 0, 0, 9}}));
  }
  endpoints[2].alive = false;
  EXPECT_EQ(dispatch.assign(endpoints, groups)[0].endpoint, 0);
  EXPECT_EQ(ReplicaDispatch(DispatchPolicy::kStatic, 2).assign(endpoints, groups)[1].endpoint, 1);
}

TEST(ReplicaDispatch, RoundRobinDealsRowsInTurnsForEachExpert) {
  ReplicaDispatch dispatch(DispatchPolicy::kRoundRobin);
  const std::vector<ReplicaLoad> endpoints{{.alive = true, .queue_rows = 1000}, {.alive = true}};
  const std::vector<DispatchGroup> groups{{3, kBoth, 4}};
  EXPECT_TRUE(std::ranges::equal(dispatch.assign(endpoints, groups), std::vector<DispatchPiece>{{0, 0, 0, 2}, {0, 1, 2, 1}}));
  EXPECT_TRUE(std::ranges::equal(dispatch.assign(endpoints, groups), std::vector<DispatchPiece>{{0, 0, 0, 1}, {0, 1, 1, 2}}));
  const std::vector<DispatchGroup> other{{1, kBoth, 0}};
  EXPECT_EQ(dispatch.assign(endpoints, other)[0].endpoint, 0);
}

TEST(ReplicaDispatch, RandomUsesAllAlikeAndTheSameSeedAlike) {
  ReplicaDispatch first(DispatchPolicy::kRandom, 5);
  ReplicaDispatch second(DispatchPolicy::kRandom, 5);
  const std::vector<ReplicaLoad> endpoints(2, {.alive = true});
  const std::vector<DispatchGroup> groups{{4000, kBoth}};
  const auto pieces = first.assign(endpoints, groups);
  EXPECT_TRUE(std::ranges::equal(pieces, second.assign(endpoints, groups)));
  EXPECT_NEAR(pieces[0].count, 2000, 150);
}

TEST(ReplicaDispatch, LeastActivatedNeverReadsAnExpertTwice) {
  ReplicaDispatch dispatch(DispatchPolicy::kLeastActivatedExperts);
  const std::vector<ReplicaLoad> endpoints(2, {.alive = true});
  const std::vector<DispatchGroup> groups{{100, kBoth}, {60, kBoth}, {50, kBoth}};
  const std::vector<DispatchPiece> whole{{0, 0, 0, 100}, {1, 1, 0, 60}, {2, 1, 0, 50}};
  EXPECT_TRUE(std::ranges::equal(dispatch.assign(endpoints, groups), whole));
}

TEST(ReplicaDispatch, LocalityTakesOtherHostsOnlyWithoutAReplicaHere) {
  ReplicaDispatch dispatch(DispatchPolicy::kLocalityFirst);
  std::vector<ReplicaLoad> endpoints{{.alive = true}, {.alive = true, .queue_rows = 1000, .near = true}};
  const std::vector<DispatchGroup> groups{{10, kBoth}};
  EXPECT_TRUE(std::ranges::equal(dispatch.assign(endpoints, groups), std::vector<DispatchPiece>{{0, 1, 0, 10}}));
  endpoints[1].alive = false;
  EXPECT_TRUE(std::ranges::equal(dispatch.assign(endpoints, groups), std::vector<DispatchPiece>{{0, 0, 0, 10}}));
}

TEST(ReplicaDispatch, TheSameInputGivesTheSamePieces) {
  const std::vector<ReplicaLoad> endpoints(5, {.alive = true});
  const std::vector<std::uint16_t> all{4, 2, 0, 1, 3};
  const std::vector<DispatchGroup> groups(9, {17, all});
  EXPECT_EQ(assign(endpoints, groups), assign(endpoints, groups));
}

TEST(ServiceCost, TellsRowsFromExperts) {
  ServiceCost cost;
  Rng rng(3);
  for (int i = 0; i < 200; ++i) {
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(8));
    const auto rows = experts + static_cast<std::uint32_t>(rng.below(64));
    cost.observe(rows, experts, 2000.0 * rows + 50000.0 * experts);
  }
  EXPECT_NEAR(cost.ns_per_row(), 2000, 1);
  EXPECT_NEAR(cost.ns_per_expert(), 50000, 10);
}

TEST(ServiceCost, ForgetsASpeedThatHasChanged) {
  ServiceCost cost;
  for (int i = 0; i < 100; ++i) cost.observe(10, 10, 10000);
  for (int i = 0; i < 100; ++i) cost.observe(10, 10, 40000);
  EXPECT_NEAR(cost.ns_per_row(), 4000, 50);
}

TEST(ServiceCost, BelievesAStatedPace) {
  ServiceCost cost(2000);
  cost.observe(10, 10, 1);
  EXPECT_EQ(cost.ns_per_row(), 500000);
  EXPECT_EQ(cost.ns_per_expert(), 0);
}

}  // namespace
}  // namespace flexpert::placement
