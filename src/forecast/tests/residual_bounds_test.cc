#include "forecast/residual_bounds.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/history.h"

namespace flexpert::forecast {
namespace {

TEST(ResidualBounds, NothingIsKnownBeforeTheFirstError) {
  ResidualBounds bounds;
  bounds.expect([](std::size_t) { return 1.0; });
  EXPECT_EQ(bounds.offsets(1, std::vector<double>{0.1, 0.9}), (std::vector<double>{0, 0}));
}

TEST(ResidualBounds, CoverTheShareThatTheyPromise) {
  ResidualBounds bounds;
  Rng rng(8);
  int below = 0;
  constexpr int kSteps = 4000;
  for (int i = 0; i < kSteps; ++i) {
    const double value = rng.uniform();
    if (value <= 0.5 + bounds.offsets(1, std::vector<double>{0.9})[0]) ++below;
    bounds.score(value);
    bounds.expect([](std::size_t) { return 0.5; });
  }
  EXPECT_NEAR(static_cast<double>(below) / kSteps, 0.9, 0.015);
}

TEST(ResidualBounds, WidenWithTheHorizonOfARandomWalk) {
  ResidualBounds bounds;
  Rng rng(3);
  double walk = 0;
  for (int i = 0; i < 300; ++i) {
    walk += rng.uniform() - 0.5;
    bounds.score(walk);
    bounds.expect([&](std::size_t) { return walk; });
  }
  const std::vector<double> level = {0.9};
  EXPECT_LT(bounds.offsets(1, level)[0], bounds.offsets(10, level)[0]);
  EXPECT_NEAR(bounds.offsets(120, level)[0], 2 * bounds.offsets(30, level)[0], 1e-12);
}

TEST(ResidualBounds, AGapScoresNothing) {
  ResidualBounds bounds;
  bounds.expect([](std::size_t) { return 1.0; });
  bounds.score(std::nan(""));
  EXPECT_EQ(bounds.offsets(1, std::vector<double>{0.5})[0], 0);
}

TEST(History, MergesBinsUntilItSpansWhatIsAskedFor) {
  History history(8, 32);
  for (int i = 0; i < 16; ++i) history.add(i);
  history.add(16);
  EXPECT_EQ(history.steps_a_bin(), 2U);
  EXPECT_EQ(history.bins().size(), 8U);
  EXPECT_EQ(history.bins()[0], 0.5);
  for (int i = 17; i < 200; ++i) history.add(i);
  EXPECT_EQ(history.steps_a_bin(), 4U);
  EXPECT_LE(history.bins().size(), 8U);
  EXPECT_EQ(history.bins()[0], static_cast<double>(history.first_step()) + 1.5);
}

TEST(History, ABinOfGapsIsAGap) {
  History history(8, 8);
  history.add(std::nan(""));
  history.add(4);
  EXPECT_TRUE(std::isnan(history.bins()[0]));
  EXPECT_EQ(history.bins()[1], 4);
}

}  // namespace
}  // namespace flexpert::forecast
