#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace flexpert {

/// Room that write_decimal() needs, whatever the number.
inline constexpr std::size_t kDecimalBytes = 20;

static_assert(std::endian::native == std::endian::little, "digits are put into words");
inline constexpr std::uint64_t kDecimalZeros = 0x30303030'30303030;

/// Returns the eight decimal digits of `value` < 10^8 as numbers from 0 to 9, a byte each, the first in the lowest byte: divided into
/// halves, quarters and digits side by side in one word.
constexpr std::uint64_t eight_digits(std::uint32_t value) {
  const std::uint64_t halves = value / 10000 | static_cast<std::uint64_t>(value % 10000) << 32;
  const std::uint64_t hundreds = (halves * 10486 >> 20) & 0x0000007f'0000007f;  // each divided by 100
  const std::uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
  const std::uint64_t tens = (pairs * 103 >> 10) & 0x000f'000f'000f'000f;       // each divided by 10
  return tens | (pairs - 10 * tens) << 8;
}

/// Writes the eight digits of `value` < 10^8, zeros in front too. Returns their end.
inline char* write_eight_digits(char* out, std::uint32_t value) {
  const std::uint64_t text = eight_digits(value) | kDecimalZeros;
  std::memcpy(out, &text, 8);
  return out + 8;
}

inline constexpr auto kDecimalPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

/// Writes the two digits of `value` < 100. Returns their end.
inline char* write_two_digits(char* out, std::uint32_t value) {
  std::memcpy(out, &kDecimalPairs[std::size_t{2} * value], 2);
  return out + 2;
}

/// Writes `value` < 10^8 as write_decimal() does, where there is room for eight bytes.
inline char* write_short_decimal(char* out, std::uint32_t value) {
  if (value < 10000) {
    if (value < 10) {
      *out = static_cast<char>('0' + value);
      return out + 1;
    }
    if (value >= 1000) out = write_two_digits(out, value / 100);
    else if (value >= 100) *out++ = static_cast<char>('0' + value / 100);
    return write_two_digits(out, value % 100);
  }
  const std::uint64_t digits = eight_digits(value);
  const int leading = std::countr_zero(digits) & ~7;  // bits of zeros in front
  const std::uint64_t text = (digits | kDecimalZeros) >> leading;
  std::memcpy(out, &text, 8);
  return out + 8 - leading / 8;
}

/// Writes `value` in decimal digits to `out`, which has room for kDecimalBytes; what lies behind them there is changed too. Returns
/// the end of the digits. About 30 instructions up to 10^8, twice that up to 10^16.
inline char* write_decimal(char* out, std::uint64_t value) {
  constexpr std::uint32_t kEight = 100'000'000;
  if (value < kEight) return write_short_decimal(out, static_cast<std::uint32_t>(value));
  std::uint64_t first = value / kEight;
  const auto last = static_cast<std::uint32_t>(value - first * kEight);
  if (first >= kEight) {
    out = write_short_decimal(out, static_cast<std::uint32_t>(first / kEight));
    out = write_eight_digits(out, static_cast<std::uint32_t>(first % kEight));
  } else {
    out = write_short_decimal(out, static_cast<std::uint32_t>(first));
  }
  return write_eight_digits(out, last);
}

}  // namespace flexpert
