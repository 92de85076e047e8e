#pragma once

#include <string>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "flexpert/place_options.h"
#include "flexpert/place_source.h"

namespace flexpert::app {

/// Reads counts in any form from any source; the form is known by the content, and by the name for routing files. Steps
/// are added up. Errors name the source, and what would be understood.
Result<ExpertCounts> read_counts(const std::string& source, const PlaceOptions& options);

/// Reads counts window by window: the steps of a form that has them, else one.
Result<std::vector<ExpertCounts>> read_count_windows(const std::string& source, const PlaceOptions& options);

/// Reads counts from bytes that are there, as read_counts() does.
Result<ExpertCounts> parse_counts(const PlaceBytes& input, const PlaceOptions& options);

}  // namespace flexpert::app
