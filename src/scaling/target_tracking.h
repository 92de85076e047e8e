#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy with the semantics of Kubernetes' horizontal pod autoscaler: each metric asks for a count
/// (count_for_metric), the largest counts; where one is missing the rest may grow, never shrink the pool; the result is
/// stabilised and rate limited (ScalingHistory). Limits of the pool are not its business.
std::unique_ptr<Policy> make_target_tracking_policy(const TargetTrackingOptions& options);

}  // namespace flexpert::scaling
