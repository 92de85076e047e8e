#pragma once

#include <memory>

#include "base/result.h"
#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// The SLA policy that goes by an engine model: the given one, or else one fitted to the profile, or else one that is learned.
/// See sla_policy.h. Errors: a profile that no engine model fits.
Result<std::unique_ptr<Policy>> make_sla_engine_policy(SlaOptions options, PoolRole role, double max_metric_age_s);

/// The SLA policy that goes by the classic formulas.
std::unique_ptr<Policy> make_sla_classic_policy(const SlaOptions& options, PoolRole role, std::uint32_t gpus_per_instance,
                                                double max_metric_age_s);

}  // namespace flexpert::scaling
