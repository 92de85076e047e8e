#pragma once

#include <string>

#include "base/result.h"
#include "figures.h"

namespace flexpert::bench {

/// All subsets of the groups by all principals, through a gateway and straight at the model server.
Result<void> measure_routes(const std::string& program, const std::string& model, Figures& figures);
/// Tokens of restricted callers while expert servers are killed.
Result<void> measure_generation(const std::string& program, const std::string& model, Figures& figures);

}  // namespace flexpert::bench
