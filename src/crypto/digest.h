#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace flexpert::crypto {

/// 32 bytes of SHA-256 or HMAC-SHA-256.
using Digest = std::array<std::uint8_t, 32>;

/// Returns the SHA-256 digest (FIPS 180-4) of `bytes`.
Digest sha256(std::span<const std::byte> bytes);
Digest sha256(std::string_view text);
/// Returns the digest of the parts put one behind the other.
Digest sha256(std::span<const std::string_view> parts);
/// Returns the same as 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

/// Returns HMAC-SHA-256 (RFC 2104) of `message` under `key`; a key may have any length, empty included.
Digest hmac_sha256(std::string_view key, std::string_view message);

/// Compares secrets in a time that depends on their lengths only. Different lengths are unequal.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// Returns lower-case hex digits, two a byte.
std::string to_hex(std::span<const std::uint8_t> bytes);

}  // namespace flexpert::crypto
