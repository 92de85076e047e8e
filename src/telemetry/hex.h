#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace flexpert::telemetry {

/// Writes up to 16 bytes as lower-case hex digits, two each: about 20 instructions.
template <std::size_t N>
  requires(N <= 16)
void put_hex(const std::array<std::uint8_t, N>& bytes, char* out) {
  // Vectors of g++ and clang++: a half-byte in each byte.
  using Halves [[gnu::vector_size(16)]] = unsigned char;
  using Pair [[gnu::vector_size(16)]] = std::uint64_t;
  std::uint64_t front = 0;
  std::uint64_t back = 0;
  std::memcpy(&front, bytes.data(), std::min<std::size_t>(N, 8));
  if constexpr (N > 8) std::memcpy(&back, bytes.data() + 8, N - 8);
  const auto whole = reinterpret_cast<Halves>(Pair{front, back});
  const Halves high = whole >> 4;
  const Halves low = whole & 15;
  constexpr unsigned char kToLetters = 'a' - '0' - 10;
  const auto digits = [](Halves halves) { return halves + static_cast<unsigned char>('0') + (Halves(halves > 9) & kToLetters); };
  const Halves first = digits(__builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  std::memcpy(out, &first, N < 8 ? 2 * N : 16);
  if constexpr (N > 8) {
    const Halves second = digits(__builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    std::memcpy(out + 16, &second, 2 * N - 16);
  }
}

}  // namespace flexpert::telemetry
