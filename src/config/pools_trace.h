#pragma once

#include "config/section_reader.h"
#include "scaling/pool_config.h"

namespace flexpert::config {

/// Reads `trace`, `trace_column` and `trace_scale` of a pool's `forecast:` section: the file's series is what the pool's
/// requests/s were before the planner began.
void read_trace(SectionReader& forecast, ProblemList& problems, scaling::ForecastOptions& out);

}  // namespace flexpert::config
