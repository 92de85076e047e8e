#include <gtest/gtest.h>

#include "routing/tests/endpoint_world.h"

namespace flexpert::routing {
namespace {

TEST(SlowStart, ANewEndpointsShareGrows) {
  for (const PickPolicy policy : {PickPolicy::kRandom, PickPolicy::kRoundRobin}) {
    EndpointWorld world({.policy = policy, .slow_start = Seconds(100)}, 3);
    world.now += Seconds(100);
    world.add();
    const auto share = [&] { return world.count(4000)["e3"] / 4000.0; };
    EXPECT_NEAR(share(), 0.1 / 3.1, 0.015);
    world.now += Seconds(50);
    EXPECT_NEAR(share(), 0.5 / 3.5, 0.03);
    world.now += Seconds(50);
    EXPECT_NEAR(share(), 0.25, 0.03);
  }
}

TEST(SlowStart, ByLoadANewEndpointCarriesLess) {
  EndpointWorld world({.policy = PickPolicy::kLeastLoad, .slow_start = Seconds(100)}, 1);
  world.now += Seconds(100);
  world.add();
  world.now += Seconds(25);
  std::vector<LoadTicket> tickets;
  for (int i = 0; i < 1000; ++i) tickets.push_back(world.pick());
  EXPECT_NEAR(world.all[1]->in_flight, 200, 5);  // a quarter of the other's
}

TEST(Ejection, AfterSoManyFailuresInARowForATimeThatDoubles) {
  EndpointWorld world({.policy = PickPolicy::kRoundRobin}, 4);
  world.fail(*world.all[1], 4);
  world.pool.report(*world.all[1], false, world.now);
  world.fail(*world.all[1], 4);
  EXPECT_EQ(world.count(40)["e1"], 10);
  Duration out = Seconds(10);
  for (int round = 0; round < 7; ++round, out = std::min<Duration>(2 * out, Seconds(300))) {
    world.fail(*world.all[1], 5);
    EXPECT_EQ(world.count(30)["e1"], 0);
    world.now += out - Milliseconds(1);
    EXPECT_EQ(world.count(30)["e1"], 0) << "round " << round;
    world.now += Milliseconds(1);
    EXPECT_EQ(world.count(40)["e1"], 10) << "round " << round;
  }
}

TEST(Ejection, BeginsAnewWithTheShortestTimeAfterItWasWellForAsLong) {
  EndpointWorld world({}, 4);
  world.fail(*world.all[1], 5);
  world.now += Seconds(10);
  world.fail(*world.all[1], 5);
  world.now += Seconds(20 + 20);
  world.pool.report(*world.all[1], false, world.now);
  world.fail(*world.all[1], 5);
  EXPECT_EQ(world.all[1]->ejected_for, Seconds(10));
}

TEST(Ejection, TakesAtMostItsShareAndNeverTheLast) {
  for (const double share : {0.0, 0.25, 0.5, 1.0})
    for (const std::size_t count : {1U, 2U, 3U, 8U}) {
      EndpointWorld world({.policy = PickPolicy::kRandom, .max_ejected_share = share}, count);
      for (const auto& endpoint : world.all) world.fail(*endpoint, 50);
      std::size_t out = 0;
      for (const auto& endpoint : world.all) out += endpoint->ejected_until > world.now ? 1 : 0;
      EXPECT_LE(out, static_cast<std::size_t>(share * static_cast<double>(count)));
      EXPECT_LT(out, count);
      EXPECT_TRUE(world.pool.any_usable(world.now));
      EXPECT_EQ(world.count(2000).size(), count - out);
    }
}

TEST(Ejection, OfASharedEndpointNeverEmptiesAnotherPool) {
  EndpointWorld world({}, 4);
  EndpointPool only({});
  only.add(world.all[2]);
  world.fail(*world.all[2], 5);
  EXPECT_EQ(world.count(300)["e2"], 0);
  EXPECT_EQ(only.pick({}, world.now, world.rng).endpoint(), world.all[2].get());
  EndpointPool both({});
  both.add(world.all[1]);
  both.add(world.all[2]);
  EXPECT_EQ(both.pick({}, world.now, world.rng).endpoint(), world.all[1].get());
}

TEST(Breaker, AFullEndpointGetsNothing) {
  for (const PickPolicy policy : kEveryPolicy) {
    EndpointWorld world({.policy = policy, .max_in_flight = 3}, 5);
    std::vector<LoadTicket> tickets;
    for (int i = 0; i < 15; ++i) {
      tickets.push_back(world.pick({.prefix_hash = 4, .session_hash = 4}));
      ASSERT_TRUE(tickets.back().held());
    }
    EXPECT_FALSE(world.pick({.prefix_hash = 4, .session_hash = 4}).held());
    EXPECT_FALSE(world.pool.any_usable(world.now));
    tickets.pop_back();
    EXPECT_TRUE(world.pool.any_usable(world.now));
    EXPECT_TRUE(world.pick({.prefix_hash = 4, .session_hash = 4}).held());
  }
}

TEST(RetryBudget, AllowsTheFloorToAQuietGateway) {
  RetryBudget budget(0.1, 1);
  const TimePoint now{std::chrono::hours(1)};
  int taken = 0;
  while (budget.take(now)) ++taken;
  EXPECT_EQ(taken, 10);
  EXPECT_TRUE(budget.take(now + Seconds(10)));
}

TEST(RetryBudget, NeverExceedsItsShareOfTheWindow) {
  RetryBudget budget(0.1, 0);
  Rng rng(5);
  TimePoint now{std::chrono::hours(1)};
  int requests = 0;
  int retries = 0;
  for (int i = 0; i < 50'000; ++i) {
    now += Microseconds(rng.below(4000));
    budget.note_request(now);
    ++requests;
    if (rng.uniform() < 0.8 && budget.take(now)) ++retries;
    ASSERT_LE(retries, 0.1 * requests);
  }
  EXPECT_GT(retries, 0.09 * requests);
}

TEST(RetryBudget, ForgetsRequestsOlderThanTheWindow) {
  RetryBudget budget(0.1, 0);
  const TimePoint now{std::chrono::hours(1)};
  for (int i = 0; i < 1000; ++i) budget.note_request(now);
  EXPECT_TRUE(budget.take(now + Seconds(9)));
  EXPECT_FALSE(budget.take(now + Seconds(10)));
}

}  // namespace
}  // namespace flexpert::routing
