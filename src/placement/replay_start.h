#pragma once

#include <cstdint>

#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// Returns no balancing: experts in order, one slot each, as many a device as go evenly (the first devices one more).
ExpertLayout bare_layout(ExpertGeometry geometry, std::uint32_t devices);

/// Returns alike devices with the slots of a layout.
ExpertCluster cluster_of(const ExpertLayout& layout);

/// Returns a layout for a load that is not known yet: experts in order as bare_layout(), and in the spare slots of a device
/// experts of the devices after it, so that load can be handed on around the ring. Under a dispatch to the least loaded
/// replica it is nowhere worse than no balancing. Precondition: every device has room for its part of the experts.
ExpertLayout ring_layout(ExpertGeometry geometry, const ExpertCluster& cluster);

}  // namespace flexpert::placement
