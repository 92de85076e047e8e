#include <algorithm>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "routing/group_cover.h"
#include "routing/least_loaded.h"
#include "routing/load_counts.h"

namespace flexpert::routing {
namespace {

TEST(LoadCounts, ATicketCountsWhileItLives) {
  LoadCounts counts;
  {
    const auto first = counts.take("a");
    auto second = counts.take("a");
    EXPECT_EQ(counts.in_flight("a"), 2U);
    LoadCounts::Ticket moved = std::move(second);
    EXPECT_EQ(counts.in_flight("a"), 2U);
    moved.release();
    moved.release();
    EXPECT_EQ(counts.in_flight("a"), 1U);
  }
  EXPECT_EQ(counts.in_flight("a"), 0U);
  EXPECT_EQ(counts.in_flight("never"), 0U);
}

TEST(LoadCounts, AssigningOverATicketGivesItsLoadBack) {
  LoadCounts counts;
  auto ticket = counts.take("a");
  ticket = counts.take("b");
  EXPECT_EQ(counts.in_flight("a"), 0U);
  EXPECT_EQ(counts.in_flight("b"), 1U);
}

TEST(LoadCounts, RandomTakingMovingAndDroppingEndsAtZero) {
  LoadCounts counts;
  Rng rng(7);
  std::vector<LoadCounts::Ticket> held;
  std::size_t live = 0;
  for (int step = 0; step < 20000; ++step) {
    if (held.empty() || rng.below(2) == 0) {
      held.push_back(counts.take(std::string(1, static_cast<char>('a' + rng.below(5)))));
      ++live;
    } else {
      const std::size_t victim = rng.below(held.size());
      std::swap(held[victim], held.back());
      held.pop_back();
      --live;
    }
    ASSERT_EQ(counts.total(), live);
  }
  held.clear();
  EXPECT_EQ(counts.total(), 0U);
}

TEST(LoadCounts, IdleNamesAreForgottenAndBusyOnesKept) {
  LoadCounts counts;
  const auto busy = counts.take("busy");
  { const auto idle = counts.take("idle"); }
  counts.forget_unless([](const std::string&) { return false; });
  EXPECT_EQ(counts.last_used("idle"), 0U);
  EXPECT_EQ(counts.in_flight("busy"), 1U);
}

TEST(LeastLoaded, TheSmallestLoadWinsAndEqualsTakeTurns) {
  EXPECT_FALSE(pick_least_loaded({}));
  const LoadView by_load[] = {{2, 1}, {1, 9}, {3, 0}};
  EXPECT_EQ(pick_least_loaded(by_load), 1U);
  LoadCounts counts;
  const std::vector<std::string> names{"a", "b", "c"};
  std::map<std::string, int> picked;
  for (int i = 0; i < 300; ++i) {
    std::vector<LoadView> views;
    for (const auto& name : names) views.push_back({static_cast<double>(counts.in_flight(name)), counts.last_used(name)});
    const std::string& name = names[*pick_least_loaded(views)];
    const auto ticket = counts.take(name);
    ++picked[name];
  }
  for (const auto& name : names) EXPECT_EQ(picked[name], 100);
}

TEST(LeastLoaded, NeverPicksOneThatIsMoreLoadedThanAnother) {
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<LoadView> views(1 + rng.below(8));
    for (auto& view : views) view = {static_cast<double>(rng.below(4)), rng.below(4)};
    const LoadView& best = views[*pick_least_loaded(views)];
    for (const auto& view : views) {
      ASSERT_LE(best.load, view.load);
      if (view.load == best.load) {
        ASSERT_LE(best.last_used, view.last_used);
      }
    }
  }
}

RoutingTable table_of(std::vector<std::vector<std::uint16_t>> replicas, std::uint16_t endpoints) {
  RoutingTable table{.epoch = 1, .geometry = {1, static_cast<std::uint32_t>(replicas.size())}, .endpoints = {}, .replicas = std::move(replicas)};
  for (std::uint16_t i = 0; i < endpoints; ++i) table.endpoints.push_back({InstanceId{fmt::format("expert-{}", i)}, "unix:/x"});
  return table;
}

const InstanceLoad kAllIdle = [](const std::string&) { return std::optional<LoadView>(LoadView{}); };

TEST(GroupCover, OneInstanceThatHoldsAllRunsAll) {
  const auto shares = cover_group({{0, 0}, {0, 1}, {0, 2}}, table_of({{0, 1}, {1}, {2, 1}}, 3), kAllIdle);
  ASSERT_EQ(shares.size(), 1U);
  EXPECT_EQ(shares[0].instance, "expert-1");
  EXPECT_EQ(shares[0].slots.size(), 3U);
}

TEST(GroupCover, TheLeastLoadedOfEqualHoldersIsTaken) {
  const auto shares = cover_group({{0, 0}}, table_of({{0, 1, 2}}, 3), [](const std::string& id) -> std::optional<LoadView> {
    return LoadView{id == "expert-2" ? 0.0 : 3.0, 0};
  });
  ASSERT_EQ(shares.size(), 1U);
  EXPECT_EQ(shares[0].instance, "expert-2");
}

TEST(GroupCover, SlotsOnDifferentInstancesAreSplitByTheMostHeld) {
  const auto shares = cover_group({{0, 0}, {0, 1}, {0, 2}}, table_of({{0}, {1}, {1}}, 2), kAllIdle);
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_EQ(shares[0].instance, "expert-1");
  EXPECT_EQ(shares[0].slots, (std::vector<ExpertSlot>{{0, 1}, {0, 2}}));
  EXPECT_EQ(shares[1].slots, (std::vector<ExpertSlot>{{0, 0}}));
}

TEST(GroupCover, ASlotWithoutAUsableReplicaLeavesNothing) {
  EXPECT_TRUE(cover_group({{0, 0}, {0, 1}}, table_of({{0}, {}}, 1), kAllIdle).empty());
  EXPECT_TRUE(cover_group({{0, 9}}, table_of({{0}}, 1), kAllIdle).empty());
  EXPECT_TRUE(cover_group({{0, 0}}, table_of({{0}}, 1), [](const std::string&) { return std::optional<LoadView>(); }).empty());
}

TEST(GroupCover, EverySlotIsCoveredOnceByAHolderWhereverOneExists) {
  Rng rng(11);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::vector<std::uint16_t>> replicas(8);
    for (auto& list : replicas)
      for (std::uint16_t endpoint = 0; endpoint < 5; ++endpoint)
        if (rng.below(3) == 0) list.push_back(endpoint);
    const RoutingTable table = table_of(replicas, 5);
    std::vector<ExpertSlot> slots;
    bool coverable = true;
    for (std::uint32_t expert = 0; expert < 8; ++expert) {
      if (rng.below(2) == 0) continue;
      slots.push_back({0, expert});
      coverable = coverable && !replicas[expert].empty();
    }
    const auto shares = cover_group(slots, table, kAllIdle);
    std::vector<ExpertSlot> covered;
    for (const auto& share : shares) {
      for (const ExpertSlot slot : share.slots) {
        covered.push_back(slot);
        const auto& list = replicas[slot.expert];
        ASSERT_TRUE(std::any_of(list.begin(), list.end(), [&](auto e) { return table.endpoints[e].id.value == share.instance; }));
      }
    }
    std::sort(covered.begin(), covered.end());
    ASSERT_EQ(covered, coverable ? slots : std::vector<ExpertSlot>{});
  }
}

}  // namespace
}  // namespace flexpert::routing
