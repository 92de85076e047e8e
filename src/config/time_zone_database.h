#pragma once

#include <string>

#include "base/result.h"
#include "base/time_zone.h"

namespace flexpert::config {

/// Reads a zone's changes from 1970 to 2100 from the system's tz database; "UTC" needs none. Errors: kInvalidArgument saying
/// what is wrong with the name, and what is allowed; nothing is thrown.
Result<TimeZone> load_time_zone(const std::string& name);

}  // namespace flexpert::config
