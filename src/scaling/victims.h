#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fleet/pool_snapshot.h"

namespace flexpert::scaling {

/// Orders instances by who is given up first: failed ones that are being restarted, starting ones, warm ones, then ready
/// ones by the least work that they still have. Among equals the youngest goes first, then the smaller id. Work is
/// remaining_tokens; where an instance has requests but no token count, the mean of a request elsewhere in the pool
/// stands for each. Draining and stopped ones are left out: they are on their way, and a drain is never taken back.
/// Returns indices into `instances`.
std::vector<std::size_t> victims_in_order(std::span<const PoolInstance> instances);

}  // namespace flexpert::scaling
