#include "base/base64url.h"

#include <array>
#include <cstdint>

namespace flexpert {
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

void encode_base64url_from(std::string& out, std::size_t from) {
  const std::size_t size = out.size() - from;
  out.resize(from + base64url_size(size));
  char* const bytes = out.data() + from;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])); };
  // From the last group to the first: a group's characters lie behind the bytes of all groups before it.
  std::size_t group = size / 3;
  if (const std::size_t rest = size % 3; rest != 0) {
    const std::uint32_t bits = byte(3 * group) << 16 | (rest == 2 ? byte(3 * group + 1) << 8 : 0);
    bytes[4 * group] = kDigits[(bits >> 18) & 63];
    bytes[4 * group + 1] = kDigits[(bits >> 12) & 63];
    if (rest == 2) bytes[4 * group + 2] = kDigits[(bits >> 6) & 63];
  }
  while (group-- > 0) {
    const std::uint32_t bits = byte(3 * group) << 16 | byte(3 * group + 1) << 8 | byte(3 * group + 2);
    bytes[4 * group] = kDigits[(bits >> 18) & 63];
    bytes[4 * group + 1] = kDigits[(bits >> 12) & 63];
    bytes[4 * group + 2] = kDigits[(bits >> 6) & 63];
    bytes[4 * group + 3] = kDigits[bits & 63];
  }
}

void append_base64url(std::string& out, std::string_view bytes) {
  const std::size_t from = out.size();
  out += bytes;
  encode_base64url_from(out, from);
}

std::string to_base64url(std::string_view bytes) {
  std::string text;
  text.reserve(base64url_size(bytes.size()));
  append_base64url(text, bytes);
  return text;
}

Result<std::string> from_base64url(std::string_view text) {
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

}  // namespace flexpert
