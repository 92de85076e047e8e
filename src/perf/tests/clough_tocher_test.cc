#include "perf/clough_tocher.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::perf {
namespace {

std::vector<PlanePoint> scattered(std::size_t count) {
  Rng rng(5);
  std::vector<PlanePoint> points = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
  while (points.size() < count) points.push_back({rng.uniform(), rng.uniform()});
  return points;
}

TEST(Delaunay, CoversTheHullWithTrianglesThatKnowEachOther) {
  const auto points = scattered(60);
  const auto triangles = delaunay(points);
  ASSERT_TRUE(triangles.has_value()) << triangles.error().message;
  double area = 0;
  for (std::uint32_t t = 0; t < triangles->size(); ++t) {
    const Triangle& triangle = (*triangles)[t];
    const PlanePoint a = points[triangle.corner[0]], b = points[triangle.corner[1]], c = points[triangle.corner[2]];
    area += std::fabs((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)) / 2;
    for (const std::uint32_t other : triangle.neighbour) {
      if (other == Triangle::kNone) continue;
      const auto& back = (*triangles)[other].neighbour;
      EXPECT_NE(std::ranges::find(back, t), back.end());
    }
  }
  EXPECT_NEAR(area, 1, 1e-12);
}

TEST(Delaunay, SaysWhatIsWrongWithoutPrinting) {
  testing::internal::CaptureStderr();
  const auto line = delaunay({{0, 0}, {1, 1}, {2, 2}, {3, 3}});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(line.has_value());
  EXPECT_NE(line.error().message.find("on one line"), std::string::npos) << line.error().message;
  EXPECT_FALSE(delaunay({{0, 0}, {1, 1}}).has_value());
  EXPECT_FALSE(delaunay({{1, 1}, {1, 1}, {1, 1}, {1, 1}}).has_value());
}

TEST(CloughTocher, DrawsAPlaneExactly) {
  const auto triangulation = Triangulation::create(scattered(40));
  ASSERT_TRUE(triangulation.has_value());
  const auto plane = [](PlanePoint p) { return 3 + 2 * p.x - 5 * p.y; };
  std::vector<double> values;
  for (const PlanePoint point : triangulation->points()) values.push_back(plane(point));
  const CloughTocher surface(*triangulation, values);
  for (const Triangle& triangle : triangulation->triangles()) {
    const PlanePoint a = triangulation->points()[triangle.corner[0]], b = triangulation->points()[triangle.corner[1]],
                     c = triangulation->points()[triangle.corner[2]];
    const PlanePoint at{0.2 * a.x + 0.5 * b.x + 0.3 * c.x, 0.2 * a.y + 0.5 * b.y + 0.3 * c.y};
    EXPECT_NEAR(surface.at(triangle, triangulation->barycentric(triangle, at)), plane(at), 1e-5);
  }
}

TEST(CloughTocher, IsSmoothAcrossEdges) {
  const auto triangulation = Triangulation::create(scattered(30));
  ASSERT_TRUE(triangulation.has_value());
  std::vector<double> values;
  for (const PlanePoint point : triangulation->points()) values.push_back(std::sin(4 * point.x) + point.y * point.y);
  const CloughTocher surface(*triangulation, values);
  const auto at = [&](const Triangle& triangle, PlanePoint p) { return surface.at(triangle, triangulation->barycentric(triangle, p)); };
  int edges = 0;
  for (const Triangle& triangle : triangulation->triangles()) {
    for (std::size_t k = 0; k < 3; ++k) {
      if (triangle.neighbour[k] == Triangle::kNone) continue;
      const Triangle& other = triangulation->triangles()[triangle.neighbour[k]];
      const PlanePoint a = triangulation->points()[triangle.corner[(k + 1) % 3]], b = triangulation->points()[triangle.corner[(k + 2) % 3]];
      const PlanePoint on{0.3 * a.x + 0.7 * b.x, 0.3 * a.y + 0.7 * b.y};
      const auto apart = [&](double h) {
        const PlanePoint beside{on.x - (b.y - a.y) * h, on.y + (b.x - a.x) * h};
        return std::fabs(at(triangle, beside) - at(other, beside));
      };
      EXPECT_NEAR(at(triangle, on), at(other, on), 1e-9);
      EXPECT_LE(apart(1e-6), 0.02 * apart(1e-5) + 1e-10) << "only curvature differs: ten times nearer, a hundred times closer";
      ++edges;
    }
  }
  EXPECT_GT(edges, 50);
}

}  // namespace
}  // namespace flexpert::perf
