#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "telemetry/hex.h"

namespace flexpert::gateway {

/// "req_" and 24 hex digits: what a request is called in logs, in answers and in what its server is told.
class RequestId {
 public:
  RequestId() = default;
  RequestId(std::uint64_t high, std::uint32_t low) {
    if constexpr (std::endian::native == std::endian::little) {
      high = std::byteswap(high);
      low = std::byteswap(low);
    }
    std::array<std::uint8_t, 12> bytes;
    std::memcpy(bytes.data(), &high, sizeof high);
    std::memcpy(bytes.data() + sizeof high, &low, sizeof low);
    telemetry::put_hex(bytes, text_.data() + 4);
  }
  [[nodiscard]] std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 28> text_{'r', 'e', 'q', '_'};
};

}  // namespace flexpert::gateway
