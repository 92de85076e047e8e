#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::platform {

/// Signs webhooks and checks them. Source: Standard Webhooks 1.0 (symmetric scheme v1): base64 of HMAC-SHA-256 over
/// "ID.TIMESTAMP.BODY"; the header webhook-signature is a list of "v1,BASE64" with blanks between.
class WebhookSignature {
 public:
  /// `secret`: "whsec_" and the key in base64, or else the key itself. Errors: kInvalidArgument for base64 that is none,
  /// and a key under 16 bytes. No message tells anything of the secret.
  static Result<WebhookSignature> create(std::string_view secret);

  /// Returns "v1,BASE64".
  [[nodiscard]] std::string sign(std::string_view id, std::string_view timestamp, std::string_view body) const;
  /// Tells whether one of the signatures in `header` is right, in a time that depends on lengths only.
  [[nodiscard]] bool holds(std::string_view id, std::string_view timestamp, std::string_view body, std::string_view header) const;

 private:
  explicit WebhookSignature(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace flexpert::platform
