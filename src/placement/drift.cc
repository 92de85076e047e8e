#include "placement/drift.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace flexpert::placement {
namespace {

constexpr std::size_t kRemembered = 32;
/// The usual ratio before there are windows to learn it from, and the range that it keeps to: a load that never settles
/// does not become usual.
constexpr double kAssumed = 1.5;
constexpr double kLeast = 1.0;
constexpr double kMost = 2.5;
constexpr std::size_t kEnough = 4;

}  // namespace

LoadDistance distance_between(const ExpertCounts& a, const ExpertCounts& b) {
  LoadDistance sum;
  std::uint32_t layers = 0;
  for (std::uint32_t l = 0; l < a.geometry.layers; ++l) {
    const auto x = a.layer(l);
    const auto y = b.layer(l);
    const double all_x = std::accumulate(x.begin(), x.end(), 0.0);
    const double all_y = std::accumulate(y.begin(), y.end(), 0.0);
    if (!(all_x > 0) || !(all_y > 0)) continue;
    ++layers;
    const double spread = 2 / std::numbers::pi * (1 / all_x + 1 / all_y);
    for (std::size_t e = 0; e < x.size(); ++e) {
      sum.distance += std::abs(x[e] / all_x - y[e] / all_y) / 2;
      sum.chance += std::sqrt((x[e] + y[e]) / (all_x + all_y) * spread) / 2;
    }
  }
  if (layers == 0) return {};
  return {.distance = sum.distance / layers, .chance = std::min(sum.chance / layers, 1.0)};
}

double DriftDetector::usual() const {
  if (ratios_.size() < kEnough) return kAssumed;
  std::vector<double> sorted = ratios_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return std::clamp(*middle, kLeast, kMost);
}

Drift DriftDetector::observe(const ExpertCounts& window, const ExpertCounts& reference) {
  Drift drift{.distance = distance_between(window, reference), .usual = usual()};
  drift.drifted = factor_ > 0 && drift.distance.ratio() >= factor_ * drift.usual;
  if (drift.drifted) return drift;
  ratios_.push_back(drift.distance.ratio());
  if (ratios_.size() > kRemembered) ratios_.erase(ratios_.begin());
  return drift;
}

}  // namespace flexpert::placement
