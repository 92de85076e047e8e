#include "perf/cubic_spline.h"

#include <gtest/gtest.h>

namespace flexpert::perf {
namespace {

double cubic(double x) { return 2 - 3 * x + 0.5 * x * x + 0.25 * x * x * x; }

TEST(CubicSpline, DrawsACubicExactlyThroughFourAndMorePoints) {
  for (const std::vector<double>& x : {std::vector<double>{-2, 0, 1, 5}, std::vector<double>{-3, -2.5, 0, 0.1, 2, 7, 9}}) {
    std::vector<double> y;
    for (const double at : x) y.push_back(cubic(at));
    const CubicSpline spline(x, y);
    for (double at = x.front(); at < x.back(); at += 0.37) EXPECT_NEAR(spline(at), cubic(at), 1e-11 * 300) << at;
  }
}

TEST(CubicSpline, HoldsItsPointsAndClampsBeyondThem) {
  const CubicSpline spline({1, 2, 4, 8, 9}, {3, -1, 4, 1, 5});
  EXPECT_DOUBLE_EQ(spline(4), 4);
  EXPECT_DOUBLE_EQ(spline(0), 3);
  EXPECT_DOUBLE_EQ(spline(100), 5);
}

TEST(CubicSpline, BendsSmoothlyAtItsPoints) {
  const CubicSpline spline({0, 1, 3, 4, 6}, {0, 5, 1, 2, 0});
  const double h = 1e-4;
  for (const double at : {1.0, 3.0, 4.0}) {
    const double left = (spline(at) - spline(at - h)) / h, right = (spline(at + h) - spline(at)) / h;
    EXPECT_NEAR(left, right, 5e-3) << at;
  }
}

}  // namespace
}  // namespace flexpert::perf
