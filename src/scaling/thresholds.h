#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy of two thresholds on a utilisation: over `high` the ready instances double, under `low` they halve
/// (rounded up), in between the count stays. Instances that load count: doubling waits for them. Nothing is changed within
/// `cooldown_s` of a change of the pool's count. A missing metric keeps the count and must not shrink it; with no instance
/// ready there is no opinion.
std::unique_ptr<Policy> make_thresholds_policy(const ThresholdOptions& options);

}  // namespace flexpert::scaling
