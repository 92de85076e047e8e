#pragma once

#include <array>
#include <string_view>

/// Which characters the parts of an HTTP/1.1 head may have.
namespace flexpert::codec::http1_chars {

inline constexpr unsigned kToken = 1;        ///< methods and field names (RFC 9110, 5.6.2)
inline constexpr unsigned kTarget = 2;       ///< path and query (RFC 3986: pchar, "/", "?"); '%' is checked apart
inline constexpr unsigned kFieldValue = 4;   ///< visible ASCII, space, tab and obs-text
inline constexpr unsigned kHost = 8;         ///< names and IPv4 addresses of hosts
inline constexpr unsigned kDigit = 16;
inline constexpr unsigned kHexDigit = 32;

consteval std::array<unsigned char, 256> table() {
  std::array<unsigned char, 256> classes{};
  const auto mark = [&classes](std::string_view characters, unsigned kind) {
    for (const char c : characters) classes[static_cast<unsigned char>(c)] |= static_cast<unsigned char>(kind);
  };
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (digit || letter) classes[c] |= kToken | kTarget | kHost;
    if (digit) classes[c] |= kDigit | kHexDigit;
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) classes[c] |= kHexDigit;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= kFieldValue;
  }
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~!$&'()*+,;=:@/?%", kTarget);
  mark("-._~", kHost);
  return classes;
}

inline constexpr std::array<unsigned char, 256> kClasses = table();

inline bool is(char c, unsigned kind) { return (kClasses[static_cast<unsigned char>(c)] & kind) != 0; }

inline bool all(std::string_view text, unsigned kind) {
  for (const char c : text)
    if (!is(c, kind)) return false;
  return true;
}

/// Removes spaces and tabs at both ends.
inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace flexpert::codec::http1_chars
