#pragma once

#include <string>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "fleet/routing_trace.h"
#include "flexpert/place_options.h"
#include "flexpert/place_source.h"

namespace flexpert::app {

/// Tells by its name whether a file holds routing token by token: "x_top8.u8.gz", "x.u8".
bool is_routing_name(const std::string& name);

/// Reads a routing file's index from beside it, and both together. --experts and --top-k say what the file does not.
Result<RoutingTrace> read_trace(const PlaceBytes& input, const PlaceOptions& options);

/// Counts the tokens of every expert.
ExpertCounts counts_of(const RoutingTrace& trace);

}  // namespace flexpert::app
