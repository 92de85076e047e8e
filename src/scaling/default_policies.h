#pragma once

#include <vector>

#include "fleet/pool_snapshot.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// What a pool runs with that names no policies: the SLA policy with an engine model that is learned from live steps (nothing
/// else is added: it alone takes the fewest GPUs, and policies beside it with capacities learned from load only raise it); for
/// gateways target tracking on CPU (0.7) and connections (1000 an instance).
std::vector<PolicyConfig> default_policies(PoolRole role);

}  // namespace flexpert::scaling
