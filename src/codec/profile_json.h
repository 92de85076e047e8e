#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/engine_profile.h"

namespace flexpert::codec {

/// Reads a profile in our format (docs/reference/profiles.md): units are in the keys' names, unknown keys are mistakes. Nothing
/// is checked of values but that they are finite and not negative: the models check what they mean. Errors: kInvalidArgument
/// and kResourceExhausted naming the key and index.
Result<EngineProfile> parse_profile_json(std::string_view text);

/// Writes what parse_profile_json() reads back bit for bit.
std::string write_profile_json(const EngineProfile& profile);

}  // namespace flexpert::codec
