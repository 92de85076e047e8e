#include "codec/base64url.h"

#include <array>
#include <cstdint>

namespace flexpert::codec {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  for (auto& value : values) value = kNoDigit;
  for (std::size_t i = 0; i < kDigits.size(); ++i) values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr std::array<std::uint8_t, 256> kValues = make_values();

}  // namespace

void append_base64url(std::string& out, std::string_view bytes) {
  std::size_t to = out.size();
  out.resize(to + base64url_size(bytes.size()));
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])); };
  std::size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3) {
    const std::uint32_t group = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out[to++] = kDigits[(group >> shift) & 63];
  }
  if (at == bytes.size()) return;
  const bool two = at + 2 == bytes.size();
  const std::uint32_t group = byte(at) << 16 | (two ? byte(at + 1) << 8 : 0);
  out[to++] = kDigits[(group >> 18) & 63];
  out[to++] = kDigits[(group >> 12) & 63];
  if (two) out[to] = kDigits[(group >> 6) & 63];
}

Result<std::string> decode_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return fail(ErrorCode::kInvalidArgument, "base64url: no bytes give {} characters", text.size());
  std::string out;
  out.resize(text.size() / 4 * 3 + (text.size() % 4 == 0 ? 0 : text.size() % 4 - 1));
  std::uint32_t held = 0;
  unsigned bits = 0;
  std::size_t to = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(text[at])];
    if (value == kNoDigit) return fail(ErrorCode::kInvalidArgument, "base64url: not a digit, at character {}", at);
    held = held << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out[to++] = static_cast<char>(static_cast<unsigned char>(held >> bits));
    held &= (1U << bits) - 1;
  }
  if (held != 0) return fail(ErrorCode::kInvalidArgument, "base64url: the last character has bits that belong to no byte");
  return out;
}

}  // namespace flexpert::codec
