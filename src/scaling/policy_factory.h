#pragma once

#include <memory>

#include "base/result.h"
#include "scaling/policy.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// Makes a pool's policy from its options. Errors: as validate() of its options.
Result<std::unique_ptr<Policy>> make_policy(const PolicyConfig& config, const PoolConfig& pool);

}  // namespace flexpert::scaling
