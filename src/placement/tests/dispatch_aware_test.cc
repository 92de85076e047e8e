#include "placement/dispatch_aware.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/dispatch_search.h"
#include "placement/ideal_split.h"

namespace flexpert::placement {
namespace {

/// Experts of a topic are hot together, one topic a window.
std::vector<ExpertCounts> topics(std::uint64_t seed, ExpertGeometry geometry, std::uint32_t windows) {
  Rng rng(seed);
  std::vector<ExpertCounts> out;
  for (std::uint32_t w = 0; w < windows; ++w) {
    ExpertCounts counts{geometry, {}, 0};
    for (std::size_t i = 0; i < geometry.size(); ++i)
      counts.count.push_back(static_cast<double>(rng.below(20) + (i * 7 % 5 == w % 5 ? 40 + rng.below(40) : 0)));
    out.push_back(std::move(counts));
  }
  return out;
}

void expect_no_two_on_a_device(const ExpertLayout& layout) {
  const auto device_of = device_of_slots(layout.slots_of_device);
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    std::set<std::pair<std::int32_t, std::uint32_t>> seen;
    for (std::size_t s = 0; s < device_of.size(); ++s) {
      const bool first = seen.insert({layout.layer(l)[s], device_of[s]}).second;
      EXPECT_TRUE(first || layout.layer(l)[s] == kEmptySlot) << l << " " << s;
    }
  }
}

TEST(DispatchAware, KeepsApartWhatIsHotTogether) {
  // Even sums hide it: 0 and 1 are hot in one window, 2 and 3 in the other.
  const ExpertGeometry geometry{1, 4};
  const std::vector<ExpertCounts> windows{{geometry, {10, 10, 0, 0}, 20}, {geometry, {0, 0, 10, 10}, 20}};
  const auto cluster = ExpertCluster::uniform(2, 1, 2);
  const auto plan = plan_dispatch_aware(windows, cluster, {.current = ExpertLayout{geometry, {2, 2}, {0, 1, 2, 3}}}).value();
  EXPECT_DOUBLE_EQ(plan.start.dispatched, 0.5);
  EXPECT_DOUBLE_EQ(plan.reached.dispatched, 1);
  EXPECT_EQ(plan.plan.moves.changed(), 2U);
}

TEST(DispatchAware, BeatsAPlanForTheSum) {
  for (const std::uint32_t devices : {4U, 10U}) {
    const auto cluster = ExpertCluster::uniform(devices, 1, 40 / devices + 1);
    const auto plan = plan_dispatch_aware(topics(1, {2, 32}, 15), cluster).value();
    EXPECT_GT(plan.reached.dispatched, plan.start.dispatched + 0.005) << devices;
    EXPECT_GE(plan.reached.dispatched, plan.reached.even) << devices;
    EXPECT_TRUE(validate(plan.plan.layout).has_value());
    expect_no_two_on_a_device(plan.plan.layout);
  }
}

TEST(DispatchAware, NeverChangesMoreSlotsThanAllowedNorMakesThingsWorse) {
  for (const std::uint32_t devices : {4U, 10U}) {
    const auto cluster = ExpertCluster::uniform(devices, 1, 40 / devices);
    const auto before = plan_dispatch_aware(topics(1, {2, 24}, 4), cluster).value().plan.layout;
    double last = 0;
    for (const std::uint64_t slots : {0U, 1U, 5U, 12U}) {
      const auto plan = plan_dispatch_aware(topics(2, {2, 24}, 8), cluster, {.current = before, .slots = slots}).value();
      EXPECT_LE(plan.plan.moves.changed(), slots);
      EXPECT_GE(plan.reached.dispatched, std::max(last, plan.start.dispatched) - 0.01);
      EXPECT_TRUE(validate(plan.plan.layout).has_value());
      expect_no_two_on_a_device(plan.plan.layout);
      last = plan.reached.dispatched;
    }
    EXPECT_GT(last, 0);
  }
}

TEST(DispatchAware, AGainThatIsTooSmallIsLeft) {
  const auto cluster = ExpertCluster::uniform(4, 1, 8);
  const auto before = plan_dispatch_aware(topics(1, {1, 24}, 4), cluster).value().plan.layout;
  const auto plan = plan_dispatch_aware(topics(2, {1, 24}, 4), cluster, {.current = before, .slots = 8, .least_gain = 0.9}).value();
  EXPECT_FALSE(plan.plan.worthwhile);
  EXPECT_EQ(plan.plan.layout, before);
}

TEST(DispatchAware, LeavesDeadDevicesEmptyAndUsesTheFast) {
  auto cluster = ExpertCluster::uniform(4, 1, 12);
  cluster.devices[1].alive = false;
  cluster.devices[2].speed = 3;
  cluster.devices[3].slots = 9;
  const auto windows = topics(3, {2, 20}, 10);
  const auto plan = plan_dispatch_aware(windows, cluster).value();
  for (std::uint32_t l = 0; l < 2; ++l)
    for (std::size_t s = 12; s < 24; ++s) EXPECT_EQ(plan.plan.layout.layer(l)[s], kEmptySlot);
  EXPECT_TRUE(validate(plan.plan.layout).has_value());
  EXPECT_GT(plan.reached.dispatched, 0.95);
}

TEST(DispatchAware, TheSameInputGivesTheSamePlan) {
  const auto cluster = ExpertCluster::uniform(9, 1, 4);
  const auto windows = topics(4, {2, 24}, 6);
  EXPECT_EQ(plan_dispatch_aware(windows, cluster).value().plan.layout, plan_dispatch_aware(windows, cluster).value().plan.layout);
}

TEST(DispatchAware, SaysWhatIsWrong) {
  const auto cluster = ExpertCluster::uniform(2, 1, 4);
  const auto message = [](const auto& result) { return result ? std::string("no error") : result.error().message; };
  EXPECT_NE(message(plan_dispatch_aware({}, cluster)).find("none given"), std::string::npos);
  std::vector<ExpertCounts> windows = topics(1, {1, 9}, 2);
  EXPECT_NE(message(plan_dispatch_aware(windows, cluster)).find("8 < 9"), std::string::npos);
  windows[1].geometry.layers = 2;
  EXPECT_NE(message(plan_dispatch_aware(windows, cluster)).find("window 1 has 2 layers"), std::string::npos);
  windows = topics(1, {1, 4}, 2);
  windows[1].count[3] = -1;
  EXPECT_NE(message(plan_dispatch_aware(windows, cluster)).find("window 1: "), std::string::npos);
  auto dead = cluster;
  dead.devices[0].alive = false;
  windows = topics(1, {1, 4}, 2);
  const ExpertLayout current{{1, 4}, {4, 4}, {0, 1, 2, 3, 1, 2, 3, kEmptySlot}};
  EXPECT_NE(message(plan_dispatch_aware(windows, dead, {.current = current})).find("layer 0 expert 0"), std::string::npos);
}

TEST(DispatchSearch, ItsCostIsThatOfItsRow) {
  for (const std::uint32_t devices : {5U, 11U}) {
    const auto cluster = ExpertCluster::uniform(devices, 1, 40 / devices);
    const auto windows = topics(5, {1, 30}, 6);
    std::vector<double> loads;
    for (const auto& window : windows) loads.insert(loads.end(), window.count.begin(), window.count.end());
    auto row = trivial_layout({1, 30}, std::vector<std::uint32_t>(devices, 40 / devices)).expert_of_slot;
    DispatchSearch search(row, cluster, 30, loads);
    double last = search.cost() * 1.0001;
    for (int step = 0; step < 4; ++step) {
      double sum = 0;
      for (const auto& window : windows) sum += ideal_max_load(window.count, search.row(), cluster);
      EXPECT_NEAR(search.cost(), sum, 1e-3 * sum);
      EXPECT_LT(search.cost(), last);
      last = search.cost();
      const auto exchange = search.best(4, 0);
      ASSERT_TRUE(exchange.has_value());
      search.apply(*exchange);
      EXPECT_NEAR(last - search.cost(), exchange->gain, 1e-3 * last);
    }
  }
}

TEST(DispatchAware, ALayoutInForceLosesWhatDeadDevicesHold) {
  ExpertCluster cluster = ExpertCluster::uniform(3, 3, 2);
  cluster.devices[2].alive = false;
  const ExpertLayout current{{1, 3}, {2, 2, 2}, {0, 1, 2, 0, 1, 2}};
  for (const std::uint64_t slots : {std::uint64_t{0}, UINT64_MAX}) {
    const auto made = plan_dispatch_aware(std::vector<ExpertCounts>{{{1, 3}, {5, 3, 1}, 0}}, cluster, {.current = current, .slots = slots});
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->plan.layout.expert_of_slot[4], kEmptySlot);
    EXPECT_EQ(made->plan.layout.expert_of_slot[5], kEmptySlot);
  }
}

}  // namespace
}  // namespace flexpert::placement
