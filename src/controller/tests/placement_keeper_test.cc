#include "controller/placement_keeper.h"

#include <gtest/gtest.h>

namespace flexpert::controller {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

/// One layer of two experts, each on a server of its own.
RoutingTable apart() { return {1, {1, 2}, {{{"a"}, "unix:/a"}, {{"b"}, "unix:/b"}}, {{0}, {1}}}; }

scaling::CumulativeLoads counted(std::int64_t second, std::uint64_t tokens, std::vector<std::uint64_t> rows) {
  return {kStart + Seconds(second), tokens, std::move(rows)};
}

std::vector<expert_protocol::SlotRows> computed(std::uint32_t expert, std::uint64_t rows) { return {{{0, expert}, rows}}; }

TEST(PlacementKeeper, ExpectedIsWhatThePlanWasMadeForAndMeasuredWhatServersComputed) {
  PlacementKeeper keeper({.window_tokens = 100});
  EXPECT_FALSE(keeper.observe(counted(0, 0, {0, 0}), 0));
  EXPECT_TRUE(keeper.observe(counted(1, 100, {100, 100}), 10));
  keeper.planned(apart());
  EXPECT_FALSE(keeper.figures(apart(), kStart + Seconds(1)).measured) << "it is not in force yet";
  keeper.in_force(kStart + Seconds(2));
  keeper.observe(counted(2, 100, {100, 100}), 10);
  keeper.observe_server({"a"}, {1, 2}, computed(0, 100));
  keeper.observe_server({"b"}, {1, 2}, computed(1, 100));
  keeper.observe(counted(3, 300, {400, 200}), 20);
  keeper.observe_server({"a"}, {1, 2}, computed(0, 400));
  keeper.observe_server({"b"}, {1, 2}, computed(1, 200));
  const PlacementFigures figures = keeper.figures(apart(), kStart + Seconds(12));
  EXPECT_DOUBLE_EQ(*figures.age_s, 10);
  EXPECT_DOUBLE_EQ(figures.expected->balancedness, 1);
  EXPECT_DOUBLE_EQ(figures.measured->balancedness, 200.0 / 300);
  EXPECT_DOUBLE_EQ(figures.even_split->balancedness, 200.0 / 300);
  EXPECT_EQ(figures.measured_rows, 400U);
  EXPECT_EQ(figures.measured_tokens, 200U);
}

TEST(PlacementKeeper, AServerThatStartedAnewCountsOn) {
  PlacementKeeper keeper({.window_tokens = 100});
  keeper.observe(counted(0, 0, {0, 0}), 0);
  keeper.planned(apart());
  keeper.in_force(kStart);
  keeper.observe(counted(1, 0, {0, 0}), 0);
  keeper.observe_server({"a"}, {1, 2}, computed(0, 500));
  keeper.observe_server({"b"}, {1, 2}, {});
  keeper.observe(counted(2, 400, {400, 100}), 20);
  keeper.observe_server({"a"}, {1, 2}, computed(0, 700));
  keeper.observe_server({"a"}, {1, 2}, computed(0, 200));
  keeper.observe_server({"b"}, {1, 2}, computed(1, 100));
  EXPECT_EQ(keeper.figures(apart(), kStart + Seconds(3)).measured_rows, 500U);
}

TEST(PlacementKeeper, AnAskedRebalanceDisregardsThresholdAndGain) {
  PlacementKeeper keeper({.threshold = 0.8, .least_gain = 0.1, .cost = &placement::StepCost::deepseek_v3_decode()});
  EXPECT_EQ(keeper.wish({"asked", "", {}}).threshold, 0);
  EXPECT_EQ(keeper.wish({"asked", "", {}}).worth.cost, nullptr);
  EXPECT_EQ(keeper.wish({"drift", "", {}}).threshold, 0.8);
  EXPECT_EQ(keeper.wish({"drift", "", {}}).least_gain, 0.1);
  EXPECT_NE(keeper.wish({"interval", "", {}}).worth.cost, nullptr);
}

TEST(PlacementKeeper, TheNewestWindowWeighsAsTheSmoothingSays) {
  PlacementKeeper keeper({.window_tokens = 10, .smoothing = 0.25});
  keeper.observe(counted(0, 0, {0, 0}), 0);
  keeper.observe(counted(1, 10, {10, 0}), 5);
  EXPECT_EQ(keeper.loads(), (std::vector<double>{1000, 0}));
  keeper.observe(counted(2, 20, {10, 10}), 10);
  EXPECT_EQ(keeper.loads(), (std::vector<double>{750, 250}));
  keeper.observe(counted(3, 24, {14, 10}), 12);
  EXPECT_EQ(keeper.loads(), (std::vector<double>{750, 250})) << "the window is open still";
  keeper.close_window();
  EXPECT_EQ(keeper.loads(), (std::vector<double>{812.5, 187.5}));
}

}  // namespace
}  // namespace flexpert::controller
