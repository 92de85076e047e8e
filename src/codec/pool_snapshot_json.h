#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/pool_snapshot.h"

/// The JSON form of what the pool planner sees: in the journal, and for `flexpert plan --snapshot FILE`
/// (docs/reference/control-plane.md). Numbers come back bit for bit.
namespace flexpert::codec {

std::string encode(const PoolsSnapshot& snapshot);
/// Errors: kDataLoss naming the field. `traffic`, `metrics` and their parts may be left out.
Result<PoolsSnapshot> decode_pools_snapshot(std::string_view json);

}  // namespace flexpert::codec
