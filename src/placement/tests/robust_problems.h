#pragma once

#include <cmath>
#include <string>

#include "base/rng.h"
#include "placement/robust.h"

namespace flexpert::placement {

/// Counts drawn from a steep law on a random permutation per layer.
inline ExpertCounts skewed_counts(ExpertGeometry geometry, std::uint64_t seed, double steepness = 0.7) {
  Rng rng(seed);
  ExpertCounts out{geometry, std::vector<double>(geometry.size()), 0};
  for (std::uint32_t l = 0; l < geometry.layers; ++l) {
    const std::size_t first = geometry.index({l, 0});
    for (std::uint32_t e = 0; e < geometry.experts; ++e) out.count[first + e] = std::round(1000 * std::pow(e + 1, -steepness));
    for (std::uint32_t i = geometry.experts; i > 1; --i) std::swap(out.count[first + i - 1], out.count[first + rng.below(i)]);
  }
  return out;
}

inline RobustProblem robust_problem(ExpertGeometry geometry, ExpertCluster cluster, std::uint64_t seed, std::size_t cases = 1) {
  RobustProblem problem;
  problem.cluster = std::move(cluster);
  for (std::size_t c = 0; c < cases; ++c) problem.cases.push_back({"window " + std::to_string(c), skewed_counts(geometry, seed + c), 1});
  return problem;
}

}  // namespace flexpert::placement
