#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// One load that a layout should serve well, and how much it counts.
struct WeightedLoad {
  const ExpertCounts* counts = nullptr;  ///< never null
  double weight = 1;                     ///< > 0
};

struct RefineLimits {
  std::uint64_t slots = UINT64_MAX;  ///< that may change
  double least_gain = 0;             ///< of a layer's max/mean load, for every slot that changes
};

/// What refine_for_dispatch() found. Figures: weighted mean over loads and layers of mean/max under an ideal split.
struct Refinement {
  ExpertLayout layout;
  double before = 1;
  double after = 1;
  std::uint64_t changed = 0;  ///< slots
  bool budget_spent = false;  ///< more moves would have paid
};

/// Improves a layout for engines that dispatch to the least loaded replica: there a layout is good if the load can be
/// split well over the replicas, not if an even split happens to be level. Under an ideal split the largest load is that of
/// a set of devices whose load has no replica outside of it (min cut); each step exchanges two experts, or turns a spare
/// replica into one of another expert, so that the bottleneck sets of the given loads lose load, where it gains most for a
/// slot. No layer gets worse under the weighted loads. Deterministic. Several loads make a layout that holds when the load
/// moves among them.
/// Precondition: one valid geometry; the layout fits the cluster, every expert with a living slot; a load or more.
Refinement refine_for_dispatch(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const WeightedLoad> loads,
                               const RefineLimits& limits);

}  // namespace flexpert::placement
