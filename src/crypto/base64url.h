#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flexpert::crypto {

/// Decodes base64url as JOSE writes it (RFC 7515, 2): no padding, no other character, no bits left over that are not zero.
/// Nothing if `text` is anything else, so that one value has one text.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace flexpert::crypto
