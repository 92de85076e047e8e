#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy that serves the forecast's upper quantile at the start-up horizon:
/// ceil(requests/s / (capacity * utilisation)). Without a configured capacity it is learned: the most requests/s that a
/// ready instance did while fewer requests queued than half an instance has in progress. As long as no queue was seen, more
/// may be possible than was shown: then it grows late, and still shrinks with the margin of `utilisation`. A
/// queue at less load than that lowers the capacity by a quarter of the difference each cycle: that is how it decays, and
/// only so (decay by time alone would grow an idle pool for ever). Before the first queue an instance may be given half as
/// much again as was shown: otherwise it would never be shown.
std::unique_ptr<Policy> make_predictive_policy(const PredictiveOptions& options, double max_metric_age_s);

}  // namespace flexpert::scaling
