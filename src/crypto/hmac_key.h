#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/digest.h"

namespace flexpert::crypto {

/// A key of HMAC-SHA-256 with its two first blocks hashed beforehand: signing a short text costs two or three compressions
/// and no allocation. Immutable; safe from any thread. Wiped when destroyed.
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  ~HmacKey();
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  [[nodiscard]] Digest sign(std::string_view message) const;
  /// Compares in constant time.
  [[nodiscard]] bool verify(std::string_view message, const Digest& signature) const;

 private:
  std::array<std::uint32_t, 8> inner_{};
  std::array<std::uint32_t, 8> outer_{};
};

/// Returns `bytes` random bytes of the system's generator.
std::string random_bytes(std::size_t bytes);

}  // namespace flexpert::crypto
