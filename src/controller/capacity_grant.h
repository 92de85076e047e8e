#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/hmac_key.h"

namespace flexpert::controller {

/// Signs the calls that measure capacity, as a gateway signs requests: a model server with an internal secret takes no others.
/// Immutable.
class CapacityGrant {
 public:
  /// `secret_file`: what the servers were started with; empty: nothing is signed. Errors: of crypto::read_secret_file().
  static Result<CapacityGrant> make(const std::string& secret_file, std::string model);
  /// Returns the value of X-Flexpert-Grant (codec::kInternalGrantField) for one call, good for ten seconds; empty: none is needed.
  [[nodiscard]] std::string value(std::string_view body, std::int64_t unix_ms) const;

 private:
  std::optional<crypto::HmacKey> key_;
  std::string model_;
};

}  // namespace flexpert::controller
