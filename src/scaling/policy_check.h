#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Returns the name by which configuration knows a kind of policy: "sla", "target_tracking", "kpa", "thresholds",
/// "schedule", "predictive", "manual".
std::string_view kind_of(const PolicyOptions& options);

/// Checks one policy's options. Errors: kInvalidArgument, "FIELD: what is wrong; allowed: ...".
Result<void> validate(const PolicyOptions& options);

}  // namespace flexpert::scaling
