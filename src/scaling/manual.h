#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy that always wants the same count.
std::unique_ptr<Policy> make_manual_policy(const ManualOptions& options);

}  // namespace flexpert::scaling
