#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexpert::codec {

/// Appends `text` as a JSON string with its quotes. Control characters are escaped; bytes that are not UTF-8 become
/// U+FFFD, so that the output is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

/// Appends a number; JSON has no NaN and no infinity, which become null.
void append_json_number(std::string& out, double value);

/// Tells whether `text` is valid UTF-8 (no surrogates, no overlong forms).
bool is_valid_utf8(std::string_view text);

}  // namespace flexpert::codec
