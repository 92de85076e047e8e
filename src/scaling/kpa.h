#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes Knative's policy: decide_kpa() over the pool's concurrency or requests/s, kept as samples with their time. Where
/// nothing is wanted, one instance stays for `scale_to_zero_grace_s`; from zero, requests that queue at the gateway wake it.
/// Between two cycles that lie further apart than the panic window, the newest sample is the panic window. Without a sample
/// in the stable window there is no opinion, and nothing may shrink. The excess burst capacity is a number of its reason.
std::unique_ptr<Policy> make_kpa_policy(const KpaOptions& options);

}  // namespace flexpert::scaling
