#include "perf/clough_tocher.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace flexpert::perf {
namespace {

constexpr int kMostIterations = 400;
constexpr double kTolerance = 1e-6;

PlanePoint operator-(PlanePoint a, PlanePoint b) { return {a.x - b.x, a.y - b.y}; }
double dot(PlanePoint a, PlanePoint b) { return a.x * b.x + a.y * b.y; }

}  // namespace

Result<Triangulation> Triangulation::create(std::vector<PlanePoint> points) {
  Triangulation result;
  FLEXPERT_ASSIGN(result.triangles_, delaunay(points));
  result.points_ = std::move(points);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> edges;
  for (const Triangle& triangle : result.triangles_) {
    for (std::size_t k = 0; k < 3; ++k) {
      edges.emplace_back(triangle.corner[k], triangle.corner[(k + 1) % 3]);
      edges.emplace_back(triangle.corner[(k + 1) % 3], triangle.corner[k]);
    }
  }
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  result.first_neighbour_.assign(result.points_.size() + 1, 0);
  for (const auto& [from, to] : edges) {
    ++result.first_neighbour_[from + 1];
    result.neighbours_.push_back(to);
  }
  for (std::size_t i = 0; i < result.points_.size(); ++i) result.first_neighbour_[i + 1] += result.first_neighbour_[i];
  return result;
}

std::array<double, 3> Triangulation::barycentric(const Triangle& triangle, PlanePoint at) const {
  const PlanePoint origin = points_[triangle.corner[2]];
  const PlanePoint a = points_[triangle.corner[0]] - origin, b = points_[triangle.corner[1]] - origin, p = at - origin;
  const double area = a.x * b.y - a.y * b.x;
  const double first = (p.x * b.y - p.y * b.x) / area;
  const double second = (a.x * p.y - a.y * p.x) / area;
  return {first, second, 1 - first - second};
}

std::span<const std::uint32_t> Triangulation::neighbours(std::size_t point) const {
  return std::span(neighbours_).subspan(first_neighbour_[point], first_neighbour_[point + 1] - first_neighbour_[point]);
}

CloughTocher::CloughTocher(const Triangulation& triangulation, std::vector<double> values)
    : triangulation_(triangulation), values_(std::move(values)), gradients_(values_.size()) {
  estimate_gradients();
}

/// Minimises the integral of the squared second derivative along all edges, one point at a time. On an edge e from a point
/// with value f and gradient g to another with f2, g2 the curve is the cubic of those four, and its integral, times |e|^3, is
/// 4 (g.e)^2 + 4 (g2.e)^2 + 4 (g.e)(g2.e) - 12 (f2 - f)(g.e + g2.e) + const: setting the gradient by g to zero leaves
/// sum_e 4 e e^T / |e|^3 g = sum_e (6 (f2 - f) - 2 g2.e) e / |e|^3.
void CloughTocher::estimate_gradients() {
  const auto& points = triangulation_.points();
  for (int iteration = 0; iteration < kMostIterations; ++iteration) {
    double error = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
      double xx = 0, xy = 0, yy = 0, right_x = 0, right_y = 0;
      for (const std::uint32_t j : triangulation_.neighbours(i)) {
        const PlanePoint edge = points[j] - points[i];
        const double length = std::sqrt(dot(edge, edge)), cubed = length * length * length;
        const double pull = (6 * (values_[j] - values_[i]) - 2 * dot(gradients_[j], edge)) / cubed;
        xx += 4 * edge.x * edge.x / cubed;
        xy += 4 * edge.x * edge.y / cubed;
        yy += 4 * edge.y * edge.y / cubed;
        right_x += pull * edge.x;
        right_y += pull * edge.y;
      }
      const double determinant = xx * yy - xy * xy;
      if (!(determinant > 0)) continue;  // a point in no triangle
      const PlanePoint gradient{(yy * right_x - xy * right_y) / determinant, (xx * right_y - xy * right_x) / determinant};
      const PlanePoint change = gradient - gradients_[i];
      const double size = std::max({1.0, std::fabs(gradient.x), std::fabs(gradient.y)});
      error = std::max(error, std::max(std::fabs(change.x), std::fabs(change.y)) / size);
      gradients_[i] = gradient;
    }
    if (error < kTolerance) return;
  }
}

/// The triangle is split at its centroid into three cubic Bezier triangles. Corner i has value f_i; `along[i][j]` is the
/// control point next to it towards corner j, `inward[i]` the one towards the centroid, `middle[k]` the one inside the part
/// that lies at the edge opposite corner k: the only freedom, used to make the derivative across that edge linear.
double CloughTocher::at(const Triangle& triangle, const std::array<double, 3>& where) const {
  const auto& points = triangulation_.points();
  std::array<double, 3> value{};
  std::array<std::array<double, 3>, 3> along{};
  for (std::size_t i = 0; i < 3; ++i) {
    value[i] = values_[triangle.corner[i]];
    for (std::size_t j = 0; j < 3; ++j) {
      if (i != j) along[i][j] = value[i] + dot(gradients_[triangle.corner[i]], points[triangle.corner[j]] - points[triangle.corner[i]]) / 3;
    }
  }
  std::array<double, 3> inward{}, middle{}, ring{};
  for (std::size_t i = 0; i < 3; ++i) inward[i] = (value[i] + along[i][(i + 1) % 3] + along[i][(i + 2) % 3]) / 3;
  for (std::size_t k = 0; k < 3; ++k) {
    const std::size_t i = (k + 1) % 3, j = (k + 2) % 3;
    // Across the edge means: towards the centroid of the triangle on its other side, which that one agrees with; on the hull:
    // from the edge's middle.
    double lean = -0.5;
    if (triangle.neighbour[k] != Triangle::kNone) {
      const Triangle& other = triangulation_.triangles()[triangle.neighbour[k]];
      const PlanePoint a = points[other.corner[0]], b = points[other.corner[1]], c = points[other.corner[2]];
      const std::array<double, 3> centroid = triangulation_.barycentric(triangle, {(a.x + b.x + c.x) / 3, (a.y + b.y + c.y) / 3});
      lean = (2 * centroid[j] + centroid[i] - 1) / (2 - 3 * centroid[j] - 3 * centroid[i]);
    }
    middle[k] = (lean * (value[j] - value[i] + 3 * (along[i][j] - along[j][i])) + 2 * along[i][j] - value[i] - along[j][i] + inward[i] +
                 inward[j]) / 2;
  }
  for (std::size_t i = 0; i < 3; ++i) ring[i] = (inward[i] + middle[(i + 1) % 3] + middle[(i + 2) % 3]) / 3;
  const double centre = (ring[0] + ring[1] + ring[2]) / 3;

  const auto k = static_cast<std::size_t>(std::ranges::min_element(where) - where.begin());
  const std::size_t i = (k + 1) % 3, j = (k + 2) % 3;
  const double u = where[i] - where[k], v = where[j] - where[k], w = 3 * where[k];
  return u * u * u * value[i] + v * v * v * value[j] + w * w * w * centre +
         3 * (u * u * v * along[i][j] + u * v * v * along[j][i] + u * u * w * inward[i] + v * v * w * inward[j] + u * w * w * ring[i] +
              v * w * w * ring[j]) +
         6 * u * v * w * middle[k];
}

}  // namespace flexpert::perf
