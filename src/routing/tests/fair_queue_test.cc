#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "routing/fair_queue.h"

namespace flexpert::routing {
namespace {

constexpr TimePoint kNever = TimePoint::max();
TimePoint at(double seconds) { return TimePoint(from_seconds(seconds)); }

/// (sum x)^2 / (n sum x^2): 1 = all the same (Jain, Chiu, Hawe 1984).
double jain(const std::vector<double>& shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return sum * sum / (static_cast<double>(shares.size()) * squares);
}

TEST(FairQueue, ServesOneFlowInOrderOfArrival) {
  FairQueue queue;
  const auto flow = queue.open(1, 1, 0);
  for (std::uint64_t tag = 1; tag <= 5; ++tag) queue.push(flow, static_cast<double>(100 - tag), kNever, tag);
  for (std::uint64_t tag = 1; tag <= 5; ++tag) EXPECT_EQ(queue.pop(), tag);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(FairQueue, ServesMoreImportantClassesFirst) {
  FairQueue queue;
  const auto low = queue.open(2, 1, 0);
  const auto middle = queue.open(1, 1, 0);
  const auto high = queue.open(0, 1, 0);
  queue.push(low, 1, kNever, 3);
  queue.push(middle, 1, kNever, 2);
  queue.push(high, 1, kNever, 1);
  for (std::uint64_t tag = 1; tag <= 3; ++tag) EXPECT_EQ(queue.pop(), tag);
}

TEST(FairQueue, ServesAClassThatWaitsAtTheLatestAfterTheGuard) {
  FairQueue queue({.max_queued = 100'000, .starvation_guard = 16});
  const FairQueue::Flow flows[] = {queue.open(0, 1, 0), queue.open(1, 1, 0), queue.open(2, 1, 0)};
  std::vector<int> served(3, 0);
  std::vector<int> since(3, 0);
  for (int i = 0; i < 5000; ++i)
    for (std::size_t priority = 0; priority < 3; ++priority) queue.push(flows[priority], 10, kNever, priority);
  for (int i = 0; i < 5000; ++i) {
    const auto priority = *queue.pop();
    ++served[priority];
    for (int& count : since) ++count;
    since[priority] = 0;
    for (std::size_t other = 0; other < 3; ++other) ASSERT_LE(since[other], 17 + 1) << "class " << other << " starves";
  }
  EXPECT_GT(served[0], 4300);
  EXPECT_GT(served[1], 250);
  EXPECT_GT(served[2], 250);
}

TEST(FairQueue, SharesByWeightInCost) {
  FairQueue queue({.max_queued = 100'000});
  const double weights[] = {1, 2, 5};
  const double costs[] = {700, 100, 30};
  std::vector<FairQueue::Flow> flows;
  for (const double weight : weights) flows.push_back(queue.open(1, weight, 0));
  for (std::size_t f = 0; f < 3; ++f)
    for (int i = 0; i < 20'000; ++i) queue.push(flows[f], costs[f], kNever, f);
  std::vector<double> served(3, 0);
  for (int i = 0; i < 8000; ++i) {
    const auto f = *queue.pop();
    served[f] += costs[f] / weights[f];
  }
  EXPECT_GT(jain(served), 0.999);
}

TEST(FairQueue, JainIndexOfEqualTenantsIsNearOneWhateverTheySend) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    FairQueue queue({.max_queued = 4000});
    std::vector<FairQueue::Flow> flows;
    std::vector<double> mean;
    for (int f = 0; f < 8; ++f) {
      flows.push_back(queue.open(1, 1, 0));
      mean.push_back(50 + rng.uniform() * 2000);
    }
    std::vector<double> served(8, 0);
    std::map<std::uint64_t, std::pair<std::size_t, double>> cost_of;
    std::uint64_t tag = 0;
    for (int i = 0; i < 6000; ++i) {
      for (std::size_t f = 0; f < 8; ++f)
        while (queue.size(flows[f]) < 4 + f * 40) {
          const double cost = 1 + rng.exponential(mean[f]);
          cost_of[++tag] = {f, cost};
          queue.push(flows[f], cost, kNever, tag);
        }
      const auto& [f, cost] = cost_of[*queue.pop()];
      served[f] += cost;
    }
    EXPECT_GT(jain(served), 0.99) << "seed " << seed;
  }
}

TEST(FairQueue, ALightTenantIsServedNextHoweverMuchAHeavyOneHasWaiting) {
  FairQueue queue;
  const auto heavy = queue.open(1, 1, 0);
  const auto light = queue.open(1, 1, 0);
  for (int i = 0; i < 500; ++i) queue.push(heavy, 100, kNever, 1);
  for (int i = 0; i < 100; ++i) queue.pop();
  queue.push(light, 100, kNever, 2);
  EXPECT_EQ(queue.pop(), 2U);
  EXPECT_EQ(queue.pop(), 1U);
}

TEST(FairQueue, IdlingEarnsNoCredit) {
  FairQueue queue;
  const auto busy = queue.open(1, 1, 0);
  const auto idle = queue.open(1, 1, 0);
  for (int i = 0; i < 1000; ++i) queue.pass(busy, 1000);
  for (int i = 0; i < 20; ++i) {
    queue.push(busy, 100, kNever, 1);
    queue.push(idle, 100, kNever, 2);
  }
  int of_idle = 0;
  for (int i = 0; i < 20; ++i) of_idle += *queue.pop() == 2 ? 1 : 0;
  EXPECT_GE(of_idle, 9);
  EXPECT_LE(of_idle, 16) << "the other one owes one request of 1000 at most";
}

TEST(FairQueue, SettlingMakesRealUseCount) {
  FairQueue queue({.max_queued = 100'000});
  const auto modest = queue.open(1, 1, 0);  // asks for 100, uses 100
  const auto loud = queue.open(1, 1, 0);    // asks for 1000, uses 100
  for (int i = 0; i < 4000; ++i) {
    queue.push(modest, 100, kNever, 1);
    queue.push(loud, 1000, kNever, 2);
  }
  int of_loud = 0;
  for (int i = 0; i < 2000; ++i)
    if (*queue.pop() == 2) {
      queue.settle(loud, 1000, 100);
      ++of_loud;
    }
  EXPECT_NEAR(of_loud, 1000, 5);
}

TEST(FairQueue, WhenFullTheNewestOfTheLeastImportantClassGoes) {
  FairQueue queue({.max_queued = 3});
  const auto low = queue.open(2, 1, 0);
  const auto high = queue.open(0, 1, 0);
  queue.push(low, 1, kNever, 1);
  queue.push(low, 1, kNever, 2);
  queue.push(high, 1, kNever, 3);
  const auto pushed = queue.push(high, 1, kNever, 4);
  EXPECT_NE(pushed.place, 0U);
  EXPECT_EQ(pushed.evicted, 2U);
  queue.push(high, 1, kNever, 5);
  const auto refused = queue.push(low, 1, kNever, 6);
  EXPECT_EQ(refused.place, 0U);
  EXPECT_EQ(refused.refusal, FairQueue::Refusal::kQueueFull);
  EXPECT_EQ(queue.size(), 3U);
}

TEST(FairQueue, WhenFullTheTenantOverItsShareGivesUpItsNewestForALightOne) {
  FairQueue queue({.max_queued = 10});
  const auto heavy = queue.open(1, 1, 0);
  const auto light = queue.open(1, 1, 0);
  for (std::uint64_t tag = 1; tag <= 10; ++tag) queue.push(heavy, 1, kNever, tag);
  EXPECT_EQ(queue.push(heavy, 1, kNever, 11).refusal, FairQueue::Refusal::kQueueFull);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(queue.push(light, 1, kNever, 100 + i).evicted, 10 - i);
  EXPECT_EQ(queue.push(light, 1, kNever, 104).evicted, 6U) << "5 against 6: the heavy one is still over its share";
  EXPECT_EQ(queue.push(light, 1, kNever, 105).place, 0U) << "now they are even";
}

TEST(FairQueue, HoldsAFlowToItsOwnBound) {
  FairQueue queue({.max_queued = 10});
  const auto flow = queue.open(1, 1, 2);
  queue.push(flow, 1, kNever, 1);
  queue.push(flow, 1, kNever, 2);
  EXPECT_EQ(queue.push(flow, 1, kNever, 3).refusal, FairQueue::Refusal::kFlowFull);
}

TEST(FairQueue, GivesUpThoseWhoseDeadlineHasCome) {
  FairQueue queue;
  const auto flow = queue.open(1, 1, 0);
  queue.push(flow, 1, at(3), 3);
  queue.push(flow, 1, at(1), 1);
  queue.push(flow, 1, at(2), 2);
  EXPECT_EQ(queue.next_deadline(), at(1));
  EXPECT_EQ(queue.pop_expired(at(2)), 1U);
  EXPECT_EQ(queue.pop_expired(at(2)), 2U);
  EXPECT_EQ(queue.pop_expired(at(2)), std::nullopt);
  EXPECT_EQ(queue.pop(), 3U);
  EXPECT_EQ(queue.next_deadline(), std::nullopt);
}

TEST(FairQueue, APlaceIsRemovedOnceAndNeverNamesAnother) {
  FairQueue queue;
  const auto flow = queue.open(1, 1, 0);
  const auto first = queue.push(flow, 1, kNever, 1).place;
  EXPECT_TRUE(queue.remove(first));
  EXPECT_FALSE(queue.remove(first));
  queue.push(flow, 1, kNever, 2);
  EXPECT_FALSE(queue.remove(first));
  EXPECT_FALSE(queue.remove(0));
  EXPECT_EQ(queue.pop(), 2U);
}

TEST(FairQueue, AFlowTakesWhatWaitsIntoItsNewClass) {
  FairQueue queue;
  const auto moved = queue.open(2, 1, 0);
  const auto other = queue.open(1, 1, 0);
  queue.push(moved, 1, kNever, 1);
  queue.push(other, 1, kNever, 2);
  queue.set(moved, 0, 1, 0);
  EXPECT_EQ(queue.pop(), 1U);
  EXPECT_EQ(queue.pop(), 2U);
}

/// Everything that goes in comes out exactly once, in any mixture of operations; flows keep their order.
TEST(FairQueue, LosesNothingUnderRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    FairQueue queue({.max_queued = 1 + static_cast<std::uint32_t>(rng.below(60))});
    std::vector<FairQueue::Flow> flows;
    for (int f = 0; f < 6; ++f)
      flows.push_back(queue.open(rng.below(3), 0.1 + rng.uniform() * 4, static_cast<std::uint32_t>(rng.below(20))));
    std::map<std::uint64_t, FairQueue::Place> waiting;  // by tag
    std::map<std::uint64_t, std::size_t> flow_of;
    std::uint64_t tag = 0;
    for (int i = 0; i < 3000; ++i) {
      const auto action = rng.below(10);
      const double now = i;
      if (action < 5) {
        const std::size_t f = rng.below(6);
        const auto pushed = queue.push(flows[f], rng.uniform() * 1000, at(now + 200 * rng.uniform()), ++tag);
        if (pushed.evicted) {
          ASSERT_EQ(waiting.erase(*pushed.evicted), 1U);
        }
        if (pushed.place != 0) {
          waiting[tag] = pushed.place;
          flow_of[tag] = f;
        }
      } else if (action < 7) {
        const auto popped = queue.pop();
        ASSERT_EQ(popped.has_value(), !waiting.empty());
        if (!popped) continue;
        ASSERT_TRUE(waiting.contains(*popped));
        for (const auto& [earlier, place] : waiting) ASSERT_FALSE(earlier < *popped && flow_of[earlier] == flow_of[*popped]);
        waiting.erase(*popped);
      } else if (action == 7 && !waiting.empty()) {
        auto any = std::next(waiting.begin(), static_cast<std::ptrdiff_t>(rng.below(waiting.size())));
        ASSERT_TRUE(queue.remove(any->second));
        waiting.erase(any);
      } else if (action == 8) {
        while (const auto expired = queue.pop_expired(at(now))) ASSERT_EQ(waiting.erase(*expired), 1U);
      } else if (action == 9) {
        const std::size_t f = rng.below(6);
        if (rng.below(2) == 0) queue.set(flows[f], rng.below(3), 0.1 + rng.uniform(), 0);
        else queue.settle(flows[f], rng.uniform() * 1000, rng.uniform() * 1000);
      }
      ASSERT_EQ(queue.size(), waiting.size());
      ASSERT_LE(queue.size(), queue.max_queued());
    }
    while (const auto popped = queue.pop()) ASSERT_EQ(waiting.erase(*popped), 1U);
    EXPECT_TRUE(waiting.empty());
  }
}

TEST(FairQueue, TheSameHistoryGivesTheSameOrderWhateverTheFlowsAreNumbered) {
  const auto order = [](bool reversed) {
    FairQueue queue;
    std::vector<FairQueue::Flow> flows(5);
    for (std::size_t i = 0; i < 5; ++i) flows[reversed ? 4 - i : i] = queue.open(1, 1, 0);
    Rng rng(7);
    std::vector<std::uint64_t> served;
    for (std::uint64_t tag = 0; tag < 300; ++tag) {
      queue.push(flows[rng.below(5)], static_cast<double>(1 + rng.below(3)), kNever, tag);
      if (tag % 3 == 2) served.push_back(*queue.pop());
    }
    while (const auto tag = queue.pop()) served.push_back(*tag);
    return served;
  };
  EXPECT_EQ(order(false), order(true));
}

TEST(FairQueue, VirtualTimeStaysExactOverYearsOfHugeCosts) {
  FairQueue queue;
  const auto a = queue.open(1, 1e-9, 0);
  const auto b = queue.open(1, 1e-9, 0);
  int of_a = 0;
  for (int i = 0; i < 4000; ++i) {
    while (queue.size(a) < 3) queue.push(a, 1e300, kNever, 1);
    while (queue.size(b) < 3) queue.push(b, 1e300, kNever, 2);
    of_a += *queue.pop() == 1 ? 1 : 0;
  }
  EXPECT_EQ(of_a, 2000);
}

}  // namespace
}  // namespace flexpert::routing
