#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"

namespace flexpert::placement {

/// Returns a layer's slots to start a search from: replicas by load, the heaviest shares first, each to the device whose
/// load / speed stays least, no two of an expert on one device (slots may stay empty for that).
/// Precondition: as many living slots as experts.
std::vector<std::int32_t> level_start(std::span<const double> loads, const ExpertCluster& cluster);

}  // namespace flexpert::placement
