#include "perf/correction.h"

#include <cmath>

#include <gtest/gtest.h>

namespace flexpert::perf {
namespace {

TEST(Correction, IsTheNewestRatioWithoutSmoothing) {
  Correction correction({true, 0.1, 10, 1});
  EXPECT_EQ(correction.factor(), 1);
  correction.observe(0.3, 0.1);
  correction.observe(0.2, 0.1);
  EXPECT_DOUBLE_EQ(correction.factor(), 2);
}

TEST(Correction, SmoothsAndClamps) {
  Correction correction({true, 0.5, 3, 0.5});
  correction.observe(1, 1);
  correction.observe(2, 1);
  EXPECT_DOUBLE_EQ(correction.factor(), 1.5);
  for (int i = 0; i < 60; ++i) correction.observe(100, 1);
  EXPECT_NEAR(correction.factor(), 3, 1e-9);
  EXPECT_EQ(correction.newest_ratio(), 100);
}

TEST(Correction, IgnoresWhatIsNoLatency) {
  Correction correction({true, 0.1, 10, 1});
  correction.observe(2, 1);
  for (const double odd : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    correction.observe(odd, 1);
    correction.observe(1, odd);
  }
  EXPECT_EQ(correction.factor(), 2);
}

TEST(Correction, ComesBackFromItsState) {
  Correction one({true, 0.1, 10, 0.3}), two({true, 0.1, 10, 0.3});
  one.observe(2, 1);
  StateWriter writer;
  one.save(writer);
  const std::string text = writer.take();
  StateReader reader(text);
  two.restore(reader);
  one.observe(4, 1);
  two.observe(4, 1);
  EXPECT_EQ(one.factor(), two.factor());
}

}  // namespace
}  // namespace flexpert::perf
