#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/model/engine.h"

namespace flexpert::engine {

/// Reads a step-time profile: {"base_ms": 4.0, "per_token_us": 12.5, "per_kv_token_us": 0.01}. Every field is optional (0),
/// none may be negative, over 60 s, or unknown. Errors name the field.
Result<StepPace> parse_pace_profile(std::string_view json);
/// Reads the same from a file; errors name it too.
Result<StepPace> read_pace_profile(const std::string& path);

}  // namespace flexpert::engine
