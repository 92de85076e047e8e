#pragma once

#include <span>

#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// What a layout is worth over windows of load: mean/max of device load, averaged over all windows and layers with load.
struct WindowBalance {
  double even = 1;        ///< every expert's load split evenly over its replicas, as planners assume and engines do not deliver
  double dispatched = 1;  ///< split as well as any dispatch can (ideal_split.h); least loaded comes within a row of it
};

/// Precondition: valid arguments of one geometry; `cluster` has the layout's devices and slots.
WindowBalance window_balance(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const ExpertCounts> windows);

}  // namespace flexpert::placement
