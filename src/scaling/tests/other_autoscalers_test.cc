#include <cmath>

#include <gtest/gtest.h>

#include "scaling/apa.h"
#include "scaling/ray_serve.h"

namespace flexpert::scaling {
namespace {

TEST(Apa, MovesOutsideTheTolerancesWithinTheRates) {
  const ApaOptions options{30, 0.1, 0.1, 2, 2};
  EXPECT_EQ(decide_apa(options, 2, 35), 3U);
  EXPECT_EQ(decide_apa(options, 2, 90), 4U);
  EXPECT_EQ(decide_apa(options, 2, 33), 2U);
  EXPECT_EQ(decide_apa(options, 6, 10), 3U);
  EXPECT_EQ(decide_apa({0, 0.1, 0.1, 2, 2}, 5, 10), 5U);
  EXPECT_EQ(decide_apa(options, 5, std::nan("")), 5U);
}

TEST(RayServe, ScalesTheChangeByItsFactor) {
  EXPECT_EQ(decide_ray_serve({2, 1, 1}, 2, 10), 5U);
  EXPECT_EQ(decide_ray_serve({2, 1, 0.5}, 10, 6), 7U);
  EXPECT_EQ(decide_ray_serve({2, 1, 0.1}, 2, 3), 1U) << "a small factor still shrinks by one";
  EXPECT_EQ(decide_ray_serve({2, 1, 1}, 0, 10), 0U);
}

}  // namespace
}  // namespace flexpert::scaling
