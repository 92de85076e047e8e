#include "perf/decode_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "perf/clough_tocher.h"

namespace flexpert::perf {
namespace {

constexpr std::size_t kCells = DecodeGrid::kCells;
constexpr double kEdgeTolerance = 100 * std::numeric_limits<double>::epsilon();
using Axis = std::array<double, kCells>;

Axis evenly_to(double last) {
  Axis axis{};
  const double step = last / (kCells - 1);
  for (std::size_t i = 0; i < kCells; ++i) axis[i] = static_cast<double>(i) * step;
  axis.back() = last;
  return axis;
}

std::size_t nearest_of(const Axis& axis, double value) {
  if (!(value > 0)) return 0;
  const double cell = std::nearbyint(value / axis[1]);
  return static_cast<std::size_t>(std::clamp(cell, 0.0, static_cast<double>(kCells - 1)));
}

/// Cells that may lie between two values: one more at either end, against rounding.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};
Range cells_between(const Axis& axis, double low, double high) {
  const double last = static_cast<double>(kCells - 1);
  const auto begin = static_cast<std::size_t>(std::clamp(std::floor(low / axis[1]) - 1, 0.0, last));
  return {begin, static_cast<std::size_t>(std::clamp(std::ceil(high / axis[1]) + 1, 0.0, last)) + 1};
}

std::size_t nearest_point(const std::vector<PlanePoint>& points, PlanePoint at) {
  std::size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double dx = points[i].x - at.x, dy = points[i].y - at.y, distance = dx * dx + dy * dy;
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
}

/// Which triangle holds each cell's centre, and where in it.
struct Place {
  const Triangle* triangle = nullptr;
  std::array<double, 3> where{};
};

std::vector<Place> places_of(const Triangulation& triangulation, const Axis& across, const Axis& down) {
  std::vector<Place> places(kCells * kCells);
  for (const Triangle& triangle : triangulation.triangles()) {
    const PlanePoint a = triangulation.points()[triangle.corner[0]], b = triangulation.points()[triangle.corner[1]],
                     c = triangulation.points()[triangle.corner[2]];
    const Range columns = cells_between(across, std::min({a.x, b.x, c.x}), std::max({a.x, b.x, c.x}));
    const Range rows = cells_between(down, std::min({a.y, b.y, c.y}), std::max({a.y, b.y, c.y}));
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      for (std::size_t column = columns.begin; column < columns.end; ++column) {
        Place& place = places[row * kCells + column];
        if (place.triangle != nullptr) continue;
        const auto where = triangulation.barycentric(triangle, {across[column], down[row]});
        const auto inside = [](double share) { return share >= -kEdgeTolerance && share <= 1 + kEdgeTolerance; };
        if (std::ranges::all_of(where, inside)) place = {&triangle, where};
      }
    }
  }
  return places;
}

}  // namespace

Result<DecodeGrid> DecodeGrid::create(const ClassicSamples& samples) {
  DecodeGrid grid;
  std::vector<PlanePoint> points(samples.decode_kv_usage.size());
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {samples.decode_kv_usage[i], samples.decode_context_length[i]};
  grid.kv_usage_ = evenly_to(1);
  grid.context_ = evenly_to(*std::ranges::max_element(samples.decode_context_length));
  FLEXPERT_ASSIGN(const Triangulation triangulation, Triangulation::create(std::move(points)));
  const std::vector<Place> places = places_of(triangulation, grid.kv_usage_, grid.context_);
  const CloughTocher itl_ms(triangulation, samples.decode_itl_ms), throughput(triangulation, samples.decode_throughput_per_gpu);
  grid.itl_s_.resize(places.size());
  grid.throughput_.resize(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i].triangle != nullptr) {
      grid.itl_s_[i] = itl_ms.at(*places[i].triangle, places[i].where) / 1000;
      grid.throughput_[i] = throughput.at(*places[i].triangle, places[i].where);
    } else {
      const std::size_t nearest = nearest_point(triangulation.points(), {grid.kv_usage_[i % kCells], grid.context_[i / kCells]});
      grid.itl_s_[i] = samples.decode_itl_ms[nearest] / 1000;
      grid.throughput_[i] = samples.decode_throughput_per_gpu[nearest];
    }
  }
  return grid;
}

std::size_t DecodeGrid::column_of(double kv_usage) const { return nearest_of(kv_usage_, kv_usage); }
std::size_t DecodeGrid::row_of(double context_length) const { return nearest_of(context_, context_length); }

}  // namespace flexpert::perf
