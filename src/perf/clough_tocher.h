#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "perf/delaunay.h"

namespace flexpert::perf {

/// Points of the plane with their triangles: what surfaces over the same points share.
class Triangulation {
 public:
  /// Errors: as delaunay().
  static Result<Triangulation> create(std::vector<PlanePoint> points);
  /// Returns the coordinates of `at` in a triangle: they add up to 1, and are not negative inside.
  [[nodiscard]] std::array<double, 3> barycentric(const Triangle& triangle, PlanePoint at) const;
  [[nodiscard]] const std::vector<PlanePoint>& points() const { return points_; }
  [[nodiscard]] const std::vector<Triangle>& triangles() const { return triangles_; }
  /// Points that share an edge with `point`, ascending.
  [[nodiscard]] std::span<const std::uint32_t> neighbours(std::size_t point) const;

 private:
  std::vector<PlanePoint> points_;
  std::vector<Triangle> triangles_;
  std::vector<std::size_t> first_neighbour_;
  std::vector<std::uint32_t> neighbours_;
};

/// The smooth (C1) surface through values at the points: Clough-Tocher triangles, gradients that make it bend least along
/// the edges. Sources: Alfeld, A trivariate Clough-Tocher scheme (1984); Farin, Triangular Bernstein-Bezier patches (1986);
/// Nielson, A method for interpolating scattered data based upon a minimum norm network (1983); the choices that these leave
/// open as scipy's CloughTocher2DInterpolator documents them, with its tolerance and limit of iterations.
class CloughTocher {
 public:
  /// `triangulation` must outlive the surface; a value for each of its points.
  CloughTocher(const Triangulation& triangulation, std::vector<double> values);
  /// Evaluates the surface in a triangle at barycentric coordinates.
  [[nodiscard]] double at(const Triangle& triangle, const std::array<double, 3>& where) const;

 private:
  void estimate_gradients();

  const Triangulation& triangulation_;
  std::vector<double> values_;
  std::vector<PlanePoint> gradients_;
};

}  // namespace flexpert::perf
