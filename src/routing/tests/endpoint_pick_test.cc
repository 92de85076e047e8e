#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "routing/tests/endpoint_world.h"

namespace flexpert::routing {
namespace {

TEST(EndpointPick, AnEmptyPoolHasNobody) {
  for (const PickPolicy policy : kEveryPolicy) EXPECT_FALSE(EndpointWorld({.policy = policy}, 0).pick({.prefix_hash = 1, .session_hash = 1}).held());
}

TEST(EndpointPick, LoadReturnsToZeroWhateverHappens) {
  for (const PickPolicy policy : kEveryPolicy) {
    EndpointWorld world({.policy = policy, .slow_start = Seconds(1), .max_in_flight = 9}, 7);
    std::vector<LoadTicket> tickets;
    for (int step = 0; step < 4000; ++step) {
      world.now += Milliseconds(1);
      if (!tickets.empty() && world.rng.uniform() < 0.45) {
        const std::size_t which = world.rng.below(tickets.size());
        if (world.rng.uniform() < 0.2) tickets[which].release();
        world.pool.report(*world.all[world.rng.below(7)], world.rng.uniform() < 0.3, world.now);
        tickets.erase(tickets.begin() + static_cast<std::ptrdiff_t>(which));
      } else {
        tickets.push_back(world.pick({.tokens = world.rng.uniform() * 100, .prefix_hash = world.rng.next(), .session_hash = world.rng.next()}));
      }
    }
    tickets.clear();
    for (const auto& endpoint : world.all) {
      EXPECT_EQ(endpoint->in_flight, 0U);
      EXPECT_EQ(endpoint->in_flight_tokens, 0.0);
    }
  }
}

TEST(EndpointPick, NeverOneThatIsNotReadyOrDrainsOrIsExcludedOrFull) {
  for (const PickPolicy policy : kEveryPolicy) {
    EndpointWorld world({.policy = policy, .max_in_flight = 5}, 12);
    std::vector<LoadTicket> tickets;
    for (int step = 0; step < 3000; ++step) {
      Endpoint& changed = *world.all[world.rng.below(12)];
      changed.ready = world.rng.uniform() < 0.6;
      changed.draining = world.rng.uniform() < 0.3;
      changed.changed();
      std::vector<const Endpoint*> excluded;
      for (const auto& endpoint : world.all)
        if (world.rng.uniform() < 0.3) excluded.push_back(endpoint.get());
      const auto allowed = [&](const Endpoint& endpoint) {
        return endpoint.ready && !endpoint.draining && endpoint.in_flight < 5 && std::find(excluded.begin(), excluded.end(), &endpoint) == excluded.end();
      };
      const bool any = std::any_of(world.all.begin(), world.all.end(), [&](const auto& endpoint) { return allowed(*endpoint); });
      std::vector<std::uint32_t> before;
      for (const auto& endpoint : world.all) before.push_back(allowed(*endpoint) ? 1 : 0);
      LoadTicket ticket = world.pick({.prefix_hash = world.rng.next(), .session_hash = world.rng.next(), .excluded = excluded});
      ASSERT_EQ(ticket.held(), any);
      if (!any) {
        tickets.clear();
        continue;
      }
      const auto at = std::find_if(world.all.begin(), world.all.end(), [&](const auto& endpoint) { return endpoint.get() == ticket.endpoint(); });
      ASSERT_EQ(before[static_cast<std::size_t>(at - world.all.begin())], 1U);
      tickets.push_back(std::move(ticket));
      if (world.rng.uniform() < 0.7) tickets.erase(tickets.begin() + static_cast<std::ptrdiff_t>(world.rng.below(tickets.size())));
    }
  }
}

TEST(EndpointPick, ATicketOutlivesItsEndpointsPool) {
  LoadTicket kept;
  {
    EndpointWorld world({}, 2);
    kept = world.pick();
    world.pool.remove(kept.endpoint()->id);
    EXPECT_EQ(world.pool.endpoints().size(), 1U);
    EXPECT_NE(world.name(), kept.endpoint()->id);
  }
  EXPECT_EQ(kept.endpoint()->in_flight, 1U);
  kept.release();
  EXPECT_FALSE(kept.held());
}

TEST(EndpointPick, RoundRobinTakesTurnsByWeight) {
  EndpointWorld world({.policy = PickPolicy::kRoundRobin}, 3);
  for (const char* next : {"e0", "e1", "e2", "e0", "e1", "e2"}) EXPECT_EQ(world.name(), next);
  world.all[0]->weight = 2;
  world.all[2]->weight = 0.5;
  world.pool.changed();
  const auto counts = world.count(700);
  EXPECT_NEAR(counts.at("e0"), 400, 2);
  EXPECT_NEAR(counts.at("e1"), 200, 2);
  EXPECT_NEAR(counts.at("e2"), 100, 2);
}

TEST(EndpointPick, RandomIsByWeightWithinFourStandardDeviations) {
  EndpointWorld world({.policy = PickPolicy::kRandom}, 4);
  world.all[3]->weight = 5;
  world.pool.changed();
  constexpr int kTimes = 40'000;
  const auto counts = world.count(kTimes);
  for (const auto& [name, count] : counts) {
    const double share = name == "e3" ? 5.0 / 8 : 1.0 / 8;
    EXPECT_NEAR(count, kTimes * share, 4 * std::sqrt(kTimes * share * (1 - share))) << name;
  }
  EXPECT_EQ(counts.size(), 4U);
}

TEST(EndpointPick, PowerOfTwoDrawsEveryPairAlike) {
  // With loads in order, endpoint i wins against the n-1-i that carry more: (n-1-i) of n(n-1)/2 pairs.
  constexpr int kCount = 8;
  EndpointWorld world({.policy = PickPolicy::kPowerOfTwo}, kCount);
  std::vector<LoadTicket> load;
  for (int i = 0; i < kCount; ++i) load.emplace_back(*world.all[static_cast<std::size_t>(i)], 10.0 * i);
  constexpr int kTimes = 56'000;
  auto counts = world.count(kTimes);
  for (int i = 0; i < kCount; ++i) {
    const double share = (kCount - 1.0 - i) / (kCount * (kCount - 1) / 2.0);
    EXPECT_NEAR(counts[fmt::format("e{}", i)], kTimes * share, 4 * std::sqrt(kTimes * share * (1 - share)) + 1) << i;
  }
}

TEST(EndpointPick, PowerOfTwoKeepsTheFullestNearTheMean) {
  // n balls into n bins: log log n + O(1) at most (Azar et al.); 5 over the mean holds with a wide margin, random reaches more.
  EndpointWorld world({.policy = PickPolicy::kPowerOfTwo}, 256);
  std::vector<LoadTicket> tickets;
  for (int i = 0; i < 2560; ++i) tickets.push_back(world.pick());
  for (const auto& endpoint : world.all) EXPECT_LE(endpoint->in_flight, 15U);
}

TEST(EndpointPick, LeastLoadGoesByTokensCapacityAndCost) {
  EndpointWorld world({.policy = PickPolicy::kLeastLoad}, 3);
  const LoadTicket busy(*world.all[0], 1000);
  world.all[1]->reported_tokens = 500;
  world.pool.changed();
  EXPECT_EQ(world.name({.tokens = 100}), "e2");
  world.all[0]->capacity_tokens = 100'000;
  world.all[1]->capacity_tokens = 10'000;
  world.all[2]->capacity_tokens = 1'000;
  world.pool.changed();
  EXPECT_EQ(world.name({.tokens = 100}), "e0");
  world.all[0]->cost = 20;
  world.pool.changed();
  EXPECT_EQ(world.name({.tokens = 100}), "e1");
}

TEST(EndpointPick, LeastLoadLetsEqualsTakeTurnsAlsoAcrossPools) {
  EndpointWorld world({.policy = PickPolicy::kLeastLoad}, 3);
  EndpointPool other({.policy = PickPolicy::kLeastLoad});
  for (const auto& endpoint : world.all) other.add(endpoint);
  std::map<std::string, int> counts;
  for (int i = 0; i < 300; ++i) {
    EndpointPool& pool = i % 2 == 0 ? world.pool : other;
    ++counts[pool.pick({}, world.now, world.rng).endpoint()->id];
  }
  for (const auto& [name, count] : counts) EXPECT_EQ(count, 100) << name;
}

}  // namespace
}  // namespace flexpert::routing
