#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace flexpert::perf {

struct PlanePoint {
  double x = 0;
  double y = 0;
};

/// Corner k of a triangle is opposite its neighbour k.
struct Triangle {
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  std::array<std::uint32_t, 3> corner{};                             ///< indices of points
  std::array<std::uint32_t, 3> neighbour{kNone, kNone, kNone};       ///< indices of triangles; kNone on the hull
};

/// Triangulates points of the plane as Qhull does with options `Qt Qbb Qc Qz Q12` (which are scipy's). Points that repeat
/// another may be in no triangle. Errors: kInvalidArgument with Qhull's own words, such as for points on one line.
Result<std::vector<Triangle>> delaunay(const std::vector<PlanePoint>& points);

}  // namespace flexpert::perf
