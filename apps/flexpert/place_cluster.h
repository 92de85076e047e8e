#pragma once

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"
#include "flexpert/place_options.h"

namespace flexpert::app {

/// What of the cluster is known before the command line is heard.
struct ClusterBasis {
  ExpertGeometry geometry;
  const ExpertLayout* layout = nullptr;   ///< its devices and slots are the default; null: none
  const ExpertCluster* cluster = nullptr; ///< of a plan that knew it; null: none
};

/// Puts together the GPUs from the command line and what is known. Errors name the option and the fix.
Result<ExpertCluster> cluster_of(const PlaceClusterOptions& options, const ClusterBasis& basis);

/// Checks that the living devices have a slot for every expert of a layer.
Result<void> check_room(const ExpertCluster& cluster, ExpertGeometry geometry);

/// Returns the layout without balancing: experts in order, spread evenly over living devices, every other slot empty; nothing
/// if the devices' slots do not allow it.
std::optional<ExpertLayout> unbalanced_layout(ExpertGeometry geometry, const ExpertCluster& cluster);

}  // namespace flexpert::app
