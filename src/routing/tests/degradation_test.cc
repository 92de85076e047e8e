#include <limits>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "routing/degradation.h"

namespace flexpert::routing {
namespace {

TimePoint at(double seconds) { return TimePoint(from_seconds(seconds)); }

DegradationLadder ladder() {
  return *DegradationLadder::make(
      {{.kind = DegradationKind::kCapMaxTokens, .enter = 0.5, .leave = 0.3, .hold = Seconds(5), .max_tokens = 64},
       {.kind = DegradationKind::kSmallerModel, .enter = 0.7, .leave = 0.5, .hold = Seconds(5), .models = {{"big", "small"}}},
       {.kind = DegradationKind::kShed, .enter = 0.9, .leave = 0.7, .hold = Seconds(10)}});
}

TEST(DegradationLadder, EntersEveryStepThatTheSaturationReaches) {
  DegradationLadder steps = ladder();
  EXPECT_FALSE(steps.update(0.49, at(1)));
  EXPECT_EQ(steps.cap_max_tokens(), 0U);
  EXPECT_TRUE(steps.update(0.75, at(2)));
  EXPECT_EQ(steps.level(), 2U);
  EXPECT_EQ(steps.cap_max_tokens(), 64U);
  EXPECT_EQ(steps.smaller_model("big"), "small");
  EXPECT_EQ(steps.smaller_model("small"), "");
  EXPECT_FALSE(steps.holds(DegradationKind::kShed));
}

TEST(DegradationLadder, LeavesBelowTheLowerMarkAfterTheHold) {
  DegradationLadder steps = ladder();
  steps.update(0.95, at(0));
  EXPECT_EQ(steps.level(), 3U);
  EXPECT_FALSE(steps.update(0.8, at(20))) << "not below the mark";
  EXPECT_TRUE(steps.update(0.6, at(20)));
  EXPECT_EQ(steps.level(), 2U) << "0.6 is above the second step's mark";
  EXPECT_TRUE(steps.update(0.1, at(21)));
  EXPECT_EQ(steps.level(), 0U);
}

TEST(DegradationLadder, HoldsAStepItsTimeHoweverCalmItIs) {
  DegradationLadder steps = ladder();
  steps.update(0.95, at(0));
  EXPECT_FALSE(steps.update(0, at(9.9)));
  EXPECT_EQ(steps.next_change(), at(10));
  EXPECT_TRUE(steps.update(0, at(10)));
  EXPECT_EQ(steps.level(), 0U);
  EXPECT_EQ(steps.next_change(), TimePoint::max());
}

TEST(DegradationLadder, TimeThatGoesBackwardsAndNumbersThatAreNoneChangeNothing) {
  DegradationLadder steps = ladder();
  steps.update(0.95, at(100));
  EXPECT_FALSE(steps.update(0, at(1)));
  EXPECT_FALSE(steps.update(std::numeric_limits<double>::quiet_NaN(), at(200)));
  EXPECT_EQ(steps.level(), 3U);
  EXPECT_TRUE(steps.update(-1, at(200)));
  EXPECT_EQ(steps.level(), 0U);
}

TEST(DegradationLadder, NeverFlickersFasterThanItsHold) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    DegradationLadder steps = ladder();
    double now = 0;
    double last_change_to[4] = {-1e9, -1e9, -1e9, -1e9};  // when a level was entered from below
    std::size_t before = 0;
    for (int i = 0; i < 2000; ++i) {
      now += rng.exponential(0.4);
      steps.update(rng.uniform() * 1.2, at(now));
      for (std::size_t level = before; level < steps.level(); ++level) last_change_to[level] = now;
      for (std::size_t level = steps.level(); level < before; ++level)
        ASSERT_GE(now - last_change_to[level], to_seconds(steps.steps()[level].hold) - 1e-6);
      before = steps.level();
    }
  }
}

TEST(DegradationLadder, RefusesWhatCannotWorkAndSaysWhere) {
  const auto message = [](std::vector<DegradationStep> steps) { return DegradationLadder::make(std::move(steps)).error().message; };
  EXPECT_EQ(message({{.enter = 0.5, .leave = 0.6}}), "step 1: leave: must be between 0 and enter (0.5); below it, or the step flickers");
  EXPECT_EQ(message({{.enter = 0.9}, {.enter = 0.8}}),
            "step 2: enter: must not be below that of the step before (0.9): steps go by severity");
  EXPECT_EQ(message({{.kind = DegradationKind::kCapMaxTokens}}), "step 1: max_tokens: must be given, at least 1, with cap_max_tokens");
  EXPECT_EQ(message({{.kind = DegradationKind::kSmallerModel, .models = {{"a", "a"}}}}),
            "step 1: models: must lead from one model to another: \"a\" leads to \"a\"");
  EXPECT_NE(degradation_kind("sched").error().message.find("there are cap_max_tokens, cache"), std::string::npos);
  EXPECT_EQ(*degradation_kind("drop_low_priority"), DegradationKind::kDropLowPriority);
}

TEST(DegradationLadder, TheHeaderNamesWhatChangedSomething) {
  EXPECT_EQ(degraded_header(false, false, false), "");
  EXPECT_EQ(degraded_header(true, false, true), "cap_max_tokens, smaller_model");
  EXPECT_EQ(degraded_header(false, true, false), "cache");
}

}  // namespace
}  // namespace flexpert::routing
