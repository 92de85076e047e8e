#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

/// base64url without padding (RFC 4648, 5; RFC 7515, 2).
namespace flexpert {

/// Returns how many characters `bytes` bytes make.
constexpr std::size_t base64url_size(std::size_t bytes) { return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1); }
/// Turns the bytes of `out` from `from` on into their text, in place.
void encode_base64url_from(std::string& out, std::size_t from);
/// Appends the text of `bytes`.
void append_base64url(std::string& out, std::string_view bytes);
std::string to_base64url(std::string_view bytes);
/// Reads it. Strict: padding, other characters, an impossible length and set bits that no byte holds are
/// kInvalidArgument, so that every value has exactly one text.
Result<std::string> from_base64url(std::string_view text);

}  // namespace flexpert
