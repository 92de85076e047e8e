#include "scaling/stabilise.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scaling/combine.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kStartMs = 1'700'000'000'000;

/// One pool whose instances start at once; a step is 15 s.
struct World {
  explicit World(StabilisationOptions o, std::uint32_t start) : options(o), current(start) {}

  Stabilised step(std::uint32_t wanted, std::optional<std::uint32_t> keep = std::nullopt, bool may_shrink = true, bool idle = false) {
    const StabilisationInput input{now, current, ready.value_or(current), wanted, keep.value_or(wanted), may_shrink, idle, false, min, max};
    Stabilised out = stabilise(input, options, state);
    const int direction = out.wanted > current ? 1 : out.wanted < current ? -1 : 0;
    if (direction != 0 && newest_direction == -direction) ++reversals;
    if (direction != 0) newest_direction = direction;
    current = out.wanted;
    now += 15'000;
    return out;
  }
  /// Lets a load that takes `exact` instances last for so many seconds; returns the seconds until `current` changed.
  double steps(std::uint32_t wanted, double seconds) {
    const std::uint32_t before = current;
    for (double t = 0; t < seconds; t += 15) {
      step(wanted);
      if (current != before) return t;
    }
    return seconds;
  }

  StabilisationOptions options;
  StabilisationState state;
  std::uint32_t current;
  std::optional<std::uint32_t> ready;
  std::uint32_t min = 0;
  std::uint32_t max = 100;
  std::int64_t now = kStartMs;
  int reversals = 0;
  int newest_direction = 0;
};

StabilisationOptions unbounded() {
  StabilisationOptions options;
  options.max_loading = 1000;
  return options;
}

TEST(Stabilise, GrowsAtOnceAndShrinksAfterTheDownWindow) {
  World world(unbounded(), 2);
  world.step(5);
  EXPECT_EQ(world.current, 5U);
  EXPECT_EQ(world.steps(3, 3600), 600 - 15);  // the wait after a growth, longer than the window
  EXPECT_EQ(world.current, 3U);
  EXPECT_EQ(world.steps(1, 3600), 300);
}

TEST(Stabilise, TheFirstCyclesDoNotShrinkBelowWhatWasThere) {
  World world(unbounded(), 8);
  EXPECT_EQ(world.steps(2, 3600), 300 + 15);
}

TEST(Stabilise, ShrinksOnlyToWhatWouldHaveHeldAllTheWindow) {
  World world(unbounded(), 8);
  world.steps(2, 200);
  world.step(6);
  EXPECT_EQ(world.steps(2, 3600), 105 - 15);
  EXPECT_EQ(world.current, 6U);
}

TEST(Stabilise, AnUpWindowWaitsForALastingNeed) {
  StabilisationOptions options = unbounded();
  options.up_window_s = 60;
  World world(options, 2);
  world.step(2);
  EXPECT_EQ(world.steps(5, 600), 60);
  EXPECT_EQ(world.current, 5U);
}

TEST(Stabilise, AShrinkLeavesTheHysteresisFree) {
  World world(unbounded(), 4);
  for (int i = 0; i < 100; ++i) world.step(3, 4);
  EXPECT_EQ(world.current, 4U);
  for (int i = 0; i < 100; ++i) world.step(3, 3);
  EXPECT_EQ(world.current, 3U);
}

TEST(Stabilise, IdlePoolsDoNotWaitForTheTimeAfterAGrowth) {
  World world(unbounded(), 1);
  world.options.down_window_s = 60;
  world.step(3);
  for (int i = 0; i < 5; ++i) world.step(1, 1, true, true);
  EXPECT_EQ(world.current, 1U);
}

TEST(Stabilise, MissingDataNeverShrinksAndIsNotRemembered) {
  World world(unbounded(), 4);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(world.step(1, 1, false).wanted, 4U);
  EXPECT_EQ(world.step(1, 1, false).reasons.front().code, "shrink_blocked");
  EXPECT_EQ(world.steps(1, 3600), 300 + 15) << "one window of fresh data, and no longer";
}

TEST(Stabilise, StepsAreBounded) {
  StabilisationOptions options = unbounded();
  options.max_step_up = 2;
  options.max_step_down = 1;
  World world(options, 4);
  EXPECT_EQ(world.step(9).wanted, 6U);
  EXPECT_EQ(world.step(9).wanted, 8U);
  while (world.current == 8) world.step(2);
  EXPECT_EQ(world.current, 7U);
}

TEST(Stabilise, NoMoreLoadAtOnceThanAreReady) {
  World world({}, 2);
  world.ready = 2;
  EXPECT_EQ(world.step(10).wanted, 4U);
  EXPECT_EQ(world.step(10).wanted, 4U);
  EXPECT_EQ(world.step(10).reasons.front().code, "still_loading");
  world.ready = 4;
  EXPECT_EQ(world.step(10).wanted, 8U);
}

TEST(Stabilise, FromNothingOneLoadsFirstAndTheMinimumAtOnce) {
  World world({}, 0);
  world.ready = 0;
  EXPECT_EQ(world.step(6).wanted, 1U);
  World kept({}, 0);
  kept.ready = 0;
  kept.min = 3;
  EXPECT_EQ(kept.step(6).wanted, 3U);
}

TEST(Stabilise, LimitsHoldAtOnce) {
  World world(unbounded(), 8);
  world.max = 5;
  EXPECT_EQ(world.step(8).wanted, 5U);
  world.min = 5;
  EXPECT_EQ(world.step(1).wanted, 5U);
}

TEST(Stabilise, WhatAPersonAskedForIsDoneAtOnce) {
  StabilisationState state;
  StabilisationInput input{kStartMs, 8, 8, 2, 2, true, false, true, 0, 100};
  EXPECT_EQ(stabilise(input, {}, state).wanted, 2U);
  input.wanted = input.keep = 90;
  EXPECT_EQ(stabilise(input, {}, state).wanted, 90U);
}

TEST(Stabilise, ShrinksThatHadToBeUndoneLengthenTheWindow) {
  World world(unbounded(), 1);
  for (int hour = 0; hour < 24; ++hour) {
    world.steps(4, 15);
    for (int i = 0; i < 60; ++i) world.step(2);  // 15 minutes of less, again and again
  }
  EXPECT_LE(world.reversals, 8);  // 48 without
  EXPECT_GT(world.state.caution, 0U);
  for (int i = 0; i < 12 * 240; ++i) world.step(2);
  EXPECT_EQ(world.state.caution, 0U);
  EXPECT_EQ(world.current, 2U);
}

/// A day of load with noise on a pool whose instances take `capacity`.
struct Day {
  int reversals = 0;
  std::uint32_t at_end = 0;
};

Day noisy_day(std::uint64_t seed, double mean, double capacity, bool exact_known) {
  Rng rng(seed);
  World world({}, 1);
  for (int i = 0; i < 5760; ++i) {
    const double exact = mean * (0.9 + 0.2 * rng.uniform()) / capacity;
    NamedProposal proposal{"p", CombineRule::kMax, {}};
    proposal.proposal.replicas = static_cast<std::uint32_t>(std::ceil(exact));
    if (exact_known) proposal.proposal.exact = exact;
    const Combined combined = combine(std::vector{proposal}, world.current, world.options.hysteresis);
    world.step(combined.wanted, combined.keep);
  }
  return {world.reversals, world.current};
}

TEST(Stabilise, ConstantLoadWithNoiseIsNeverReversed) {
  for (int i = 0; i < 30; ++i) {
    const double mean = 0.3 + 0.37 * i;
    EXPECT_EQ(noisy_day(static_cast<std::uint64_t>(i), mean, 1, true).reversals, 0) << "mean load of " << mean;
  }
}

TEST(Stabilise, TrafficThatFallsReleasesInstances) {
  World world(unbounded(), 1);
  world.step(10);
  EXPECT_LE(world.steps(5, 7200), 615);
  EXPECT_EQ(world.current, 5U);
}

TEST(Stabilise, SavedAndRestoredItGoesOnAlike) {
  Rng rng(3);
  World a(unbounded(), 3);
  for (int i = 0; i < 500; ++i) a.step(static_cast<std::uint32_t>(rng.below(6)));
  StateWriter writer;
  a.state.save(writer);
  const std::string text = writer.take();
  World b = a;
  b.state = {};
  StateReader reader(text);
  b.state.restore(reader);
  ASSERT_TRUE(reader.ok() && reader.at_end());
  for (int i = 0; i < 500; ++i) {
    const auto wanted = static_cast<std::uint32_t>(rng.below(6));
    EXPECT_EQ(a.step(wanted).wanted, b.step(wanted).wanted);
  }
}

TEST(Stabilise, DamagedStateStartsAfresh) {
  StateReader reader("stabilisation/1\n-4 ");
  StabilisationState state;
  state.caution = 2;
  state.restore(reader);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(state.caution, 0U);
}

TEST(WindowMaximum, StaysBoundedAndErrsUpwards) {
  WindowMaximum window;
  for (int i = 0; i < 10'000; ++i) window.add(i * 1000, 20'000 - i);
  window.expire(9'999'000, 3'600'000);
  EXPECT_GE(window.largest(), 20'000 - 6399);
  StateWriter writer;
  window.save(writer);
  EXPECT_LT(writer.take().size(), 8192U);
}

TEST(Stabilise, AfterALongTimeWithoutDataOneLowFigureIsNotEnough) {
  World world(unbounded(), 6);
  for (int i = 0; i < 50; ++i) world.step(6);
  for (int i = 0; i < 80; ++i) world.step(6, std::nullopt, false);
  EXPECT_EQ(world.steps(1, 3600), 300 + 15) << "a whole window of fresh data, as after a start";
  EXPECT_EQ(world.current, 1U);
}

TEST(Stabilise, DataThatIsMissingNowAndThenDelaysNoShrink) {
  World world(unbounded(), 6);
  for (int i = 0; i < 50; ++i) world.step(6);
  int cycles = 0;
  for (; world.current == 6 && cycles < 100; ++cycles) world.step(1, std::nullopt, cycles % 3 != 0);
  EXPECT_LE(cycles, 25);
}

}  // namespace
}  // namespace flexpert::scaling
