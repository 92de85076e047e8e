#include "controller/metric_window.h"

#include <gtest/gtest.h>

namespace flexpert::controller {
namespace {

const TimePoint kT0{std::chrono::hours(1)};
TimePoint at(double seconds) { return kT0 + from_seconds(seconds); }

TEST(MetricWindow, CountsGrowthWithinTheWindowInProportion) {
  MetricWindow window(1, Seconds(10));
  for (int i = 0; i <= 4; ++i) window.take(at(4 * i), {100.0 + 40 * i});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(16)), 100);  // 6 to 16 s at 10 a second
  EXPECT_EQ(window.covered_from(at(16)), at(6));
  EXPECT_DOUBLE_EQ(*window.increase(0, at(20)), 60);
  EXPECT_TRUE(window.over(at(26)));
  EXPECT_FALSE(window.increase(0, at(26)));
}

TEST(MetricWindow, TheFirstReadingIsOnlyABeginning) {
  MetricWindow window(1, Seconds(10));
  window.take(at(0), {5000.0});
  EXPECT_FALSE(window.increase(0, at(0)));
  EXPECT_FALSE(window.covered_from(at(0)));
  MetricWindow young(1, Seconds(10));
  young.take(at(3), {60.0}, at(0));
  EXPECT_DOUBLE_EQ(*young.increase(0, at(3)), 60);
}

TEST(MetricWindow, ACounterThatFallsBeganAgainAtZero) {
  MetricWindow window(1, Seconds(100));
  window.take(at(0), {90.0});
  window.take(at(1), {100.0});
  window.take(at(2), {7.0});
  window.take(at(3), {9.0});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(3)), 19);
  window.restart();
  window.take(at(4), {50.0});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(4)), 69);
}

TEST(MetricWindow, ASeriesThatComesLaterBeganAtZeroAndOneThatGoesKeepsItsPlace) {
  MetricWindow window(2, Seconds(100));
  window.take(at(0), {std::nullopt, 5.0});
  window.take(at(1), {3.0, 6.0});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(1)), 3);
  window.take(at(2), {std::nullopt, 7.0});
  window.take(at(3), {4.0, 8.0});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(3)), 4);
  EXPECT_DOUBLE_EQ(*window.increase(1, at(3)), 3);
}

TEST(MetricWindow, ReadingsOfTheSameMomentCountOnce) {
  MetricWindow window(1, Seconds(10));
  window.take(at(0), {0.0});
  window.take(at(1), {5.0});
  window.take(at(1), {9.0});
  EXPECT_DOUBLE_EQ(*window.increase(0, at(1)), 5);
}

TEST(LevelWindow, MeansAreWeightedByTime) {
  LevelWindow level(Seconds(10));
  EXPECT_FALSE(level.mean(at(0)));
  level.take(at(0), 4);
  EXPECT_DOUBLE_EQ(*level.mean(at(0)), 4);
  level.take(at(8), 10);
  EXPECT_DOUBLE_EQ(*level.mean(at(10)), (8 * 4 + 2 * 10) / 10.0);
  EXPECT_DOUBLE_EQ(*level.mean(at(14)), (4 * 4 + 6 * 10) / 10.0);
  EXPECT_EQ(level.newest(), 10);
  EXPECT_EQ(level.last(), at(8));
}

}  // namespace
}  // namespace flexpert::controller
