#pragma once

#include <cstdint>
#include <optional>

#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// Proposes other threads or KV blocks for one ready instance, from its own metrics: "cpu" is cores in use, of
/// "threads"; "kv" is the share in use of "kv_blocks". A use over options.high up by half, one under options.low down by a third, within the bounds; a size
/// outside its bounds is brought in. What is missing, stale or not finite changes nothing. Up by half leaves a use over
/// 0.56, down by a third one under 0.45 with the defaults, so that one change does not ask for its reverse.
std::optional<PoolAction> propose_resize(const PoolInstance& instance, const VerticalOptions& options, double max_age_s);

}  // namespace flexpert::scaling
