#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy that holds TTFT and ITL targets with the fewest instances.
///
/// kEngine: the smallest count whose share of the forecast (the upper quantile at the start-up horizon) stays under what an
/// instance carries within the targets, times options.utilisation, which counts as 0.95 at most. The targets are divided by
/// observed over expected latency. It never shrinks below what the next interval needs.
/// kClassic: the classic formulas on the forecast's means, with the classic corrections.
///
/// Zero traffic asks for the pool's minimum. Traffic that is missing or older than `max_metric_age_s` never shrinks a pool.
/// Reasons hold every number that the count comes from. Errors: kInvalidArgument for a role or options that cannot work.
Result<std::unique_ptr<Policy>> make_sla_policy(const SlaOptions& options, PoolRole role, std::uint32_t gpus_per_instance = 1,
                                                double max_metric_age_s = 60);

}  // namespace flexpert::scaling
