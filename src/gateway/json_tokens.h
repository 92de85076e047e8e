#pragma once

#include <string>
#include <string_view>

/// The smallest parts of JSON text (RFC 8259), checked and decoded.
namespace flexpert::gateway {

/// Tells whether `text` is a number by JSON's grammar.
bool is_json_number(std::string_view text);

/// Tells whether every escape in the inside of a string is one of JSON's. Control characters, quotes and UTF-8 are somebody else's.
bool has_good_escapes(std::string_view inside);

/// Decodes the inside of a string whose escapes are good. False: it has half of a surrogate pair, which is no character.
bool decode_json_string(std::string_view inside, std::string& out);

}  // namespace flexpert::gateway
