#pragma once

#include <vector>

#include "config/section_reader.h"
#include "fleet/pool_snapshot.h"
#include "scaling/policy_options.h"

namespace flexpert::config {

/// Reads the list `policies:` of a pool or a shadow. Profiles and time zones are loaded; ranges are checked here, what
/// depends on several fields by scaling::validate(). Absent: scaling::default_policies() of the role.
std::vector<scaling::PolicyConfig> read_policies(SectionReader& section, ProblemList& problems, PoolRole role);

}  // namespace flexpert::config
