#pragma once

#include <string>
#include <string_view>

/// The smallest parts of JSON text (RFC 8259), checked and decoded.
namespace flexpert::gateway {

inline bool is_json_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Returns what is behind white space, of which there may be none. Something else must stand behind it.
const char* skip_json_spaces(const char* at);

/// The same, for text that has none or one space behind commas and colons.
inline const char* skip_json_space(const char* at) {
  const auto is_other = [](const char* here) { return static_cast<unsigned char>(*here) > ' '; };
  if (is_other(at)) [[likely]] return at;
  if (*at == ' ' && is_other(at + 1)) return at + 1;
  return skip_json_spaces(at);
}

/// Takes the number that begins at `at`; returns what is behind it, or null if it is none by JSON's grammar.
const char* skip_json_number(const char* at, const char* end);

/// Takes the escape that begins with the backslash at `at`; returns what is behind it, or null if it is none of JSON's.
const char* skip_json_escape(const char* at, const char* end);

/// Decodes the inside of a string whose escapes are good. False: it has half of a surrogate pair, which is no character.
bool decode_json_string(std::string_view inside, std::string& out);

}  // namespace flexpert::gateway
