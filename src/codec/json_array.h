#pragma once

#include <string_view>

#include "base/result.h"
#include "codec/number_array.h"

namespace flexpert::codec {

/// Reads a JSON text that is nothing but nested arrays of numbers. Errors: not JSON, ragged, another nesting, more than
/// 64 Mi numbers or 256 MiB of text; the message begins with `what` and names the place.
Result<NumberArray> parse_json_array(std::string_view text, std::string_view what);

}  // namespace flexpert::codec
