#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flexpert::gateway {

/// "req_" and 24 hex digits: what a request is called in logs, in answers and in what its server is told.
class RequestId {
 public:
  RequestId() = default;
  RequestId(std::uint64_t high, std::uint32_t low) {
    constexpr std::string_view kHex = "0123456789abcdef";
    for (std::size_t i = 0; i < 16; ++i) text_[4 + i] = kHex[high >> (60 - 4 * i) & 15];
    for (std::size_t i = 0; i < 8; ++i) text_[20 + i] = kHex[low >> (28 - 4 * i) & 15];
  }
  [[nodiscard]] std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 28> text_{'r', 'e', 'q', '_'};
};

}  // namespace flexpert::gateway
