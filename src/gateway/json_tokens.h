#pragma once

#include <string>
#include <string_view>

/// The smallest parts of JSON text (RFC 8259), checked and decoded.
namespace flexpert::gateway {

/// Tells whether `text` is a number by JSON's grammar.
bool is_json_number(std::string_view text);

/// Takes the escape that begins with the backslash at `at`; returns what is behind it, or null if it is none of JSON's.
const char* skip_json_escape(const char* at, const char* end);

/// Decodes the inside of a string whose escapes are good. False: it has half of a surrogate pair, which is no character.
bool decode_json_string(std::string_view inside, std::string& out);

}  // namespace flexpert::gateway
