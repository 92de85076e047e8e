#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// How far a layout keeps groups of experts together on nodes. A group's home node in a layer is the one that serves most
/// of its load (the lowest number among equals). A router that lets a token choose from few groups then sends it to few
/// nodes: what is served away from home is what makes it travel further than strict hierarchy would.
struct NodeTraffic {
  /// The share of a layer's load that is served by replicas outside the home node of their expert's group, every expert's
  /// load split evenly over its replicas; mean over the layers with load. 0: every group within one node. Where experts are
  /// spread without regard to groups it is near 1 - 1/nodes.
  double cross_node_share = 0;
  std::vector<std::uint32_t> home;  ///< [layers][groups], node
};

/// Measures a layout. `groups` are of logical experts by consecutive numbers. Precondition: arguments of one geometry,
/// `groups` divides the experts.
NodeTraffic node_traffic(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts, std::uint32_t groups);

/// Returns a home node for every group of a layer, such that the nodes' loads (by speed) are as even as moving and exchanging
/// single groups makes them: at most groups/nodes rounded up on a node, if its slots hold them. Nodes without a living
/// device get none.
std::vector<std::uint32_t> assign_homes(std::span<const double> group_load, std::uint32_t experts_per_group, const ExpertCluster& cluster);

/// Returns the node that serves most of each group in one layer: `row` a slot's expert, `load` an expert's.
std::vector<std::uint32_t> homes_of(std::span<const std::int32_t> row, std::span<const double> load, const ExpertCluster& cluster,
                                    std::uint32_t groups);

}  // namespace flexpert::placement
