#include "platform/webhook_signature.h"

#include <array>
#include <optional>
#include <span>

#include "crypto/digest.h"

namespace flexpert::platform {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::string_view kVersion = "v1,";
constexpr std::size_t kLeastKeyBytes = 16;
constexpr std::size_t kMostSignatures = 16;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::span<const std::uint8_t> bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= left ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xFF);
  }
  return out;
}

}  // namespace

Result<WebhookSignature> WebhookSignature::create(std::string_view secret) {
  while (secret.ends_with('\n') || secret.ends_with('\r') || secret.ends_with(' ')) secret.remove_suffix(1);
  std::string key(secret);
  if (secret.starts_with(kPrefix)) {
    auto decoded = from_base64(secret.substr(kPrefix.size()));
    if (!decoded) return fail(ErrorCode::kInvalidArgument, "webhook secret: what follows \"whsec_\" must be base64");
    key = std::move(*decoded);
  }
  if (key.size() < kLeastKeyBytes)
    return fail(ErrorCode::kInvalidArgument, "webhook secret: must have at least {} bytes; make one with: openssl rand -base64 32", kLeastKeyBytes);
  return WebhookSignature(std::move(key));
}

std::string WebhookSignature::sign(std::string_view id, std::string_view timestamp, std::string_view body) const {
  std::string message;
  message.reserve(id.size() + timestamp.size() + body.size() + 2);
  message.append(id).append(".").append(timestamp).append(".").append(body);
  return std::string(kVersion) + to_base64(crypto::hmac_sha256(key_, message));
}

bool WebhookSignature::holds(std::string_view id, std::string_view timestamp, std::string_view body, std::string_view header) const {
  const std::string right = sign(id, timestamp, body);
  bool held = false;
  for (std::size_t count = 0; !header.empty() && count < kMostSignatures; ++count) {
    const std::size_t end = std::min(header.find(' '), header.size());
    // Every one is compared, whichever is right.
    held = crypto::equal_in_constant_time(header.substr(0, end), right) || held;
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  return held;
}

}  // namespace flexpert::platform
