#pragma once

#include <string>
#include <string_view>

/// The smallest parts of JSON text (RFC 8259), checked and decoded.
namespace flexpert::gateway {

/// Takes the number that begins at `at`; returns what is behind it, or null if it is none by JSON's grammar.
const char* skip_json_number(const char* at, const char* end);

/// Takes the escape that begins with the backslash at `at`; returns what is behind it, or null if it is none of JSON's.
const char* skip_json_escape(const char* at, const char* end);

/// Decodes the inside of a string whose escapes are good. False: it has half of a surrogate pair, which is no character.
bool decode_json_string(std::string_view inside, std::string& out);

}  // namespace flexpert::gateway
