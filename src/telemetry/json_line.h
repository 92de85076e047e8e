#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/decimal.h"

/// Writes JSON into memory that is known to be large enough: what logs need on the request path.
namespace flexpert::telemetry::json_line {

/// Longest text that is written of one field; what goes beyond is cut off.
inline constexpr std::size_t kLongestText = 256;
/// Bytes that a text of that length may take, quotes included.
inline constexpr std::size_t kLargestText = kLongestText * 6 + 2;
/// Bytes that an integer may take; those behind its digits are changed too.
inline constexpr std::size_t kLargestNumber = kDecimalBytes;

/// Sixteen bytes, and the two halves of them (vectors of g++ and clang++).
using Sixteen [[gnu::vector_size(16)]] = signed char;
using Unsigned [[gnu::vector_size(16)]] = unsigned char;
using Pair [[gnu::vector_size(16)]] = std::uint64_t;

inline bool any(Pair bits) { return (bits[0] | bits[1]) != 0; }

template <class Bytes>
Bytes copy(char* out, const char* in) {
  Bytes bytes;
  std::memcpy(&bytes, in, sizeof bytes);
  std::memcpy(out, &bytes, sizeof bytes);
  return bytes;
}

/// Marks what is not printable ASCII, quotes and backslashes. Signed, and one up: 0x7f and what is above it become negative or 0.
inline Pair marked(Sixteen bytes) {
  const Sixteen up = reinterpret_cast<Sixteen>(reinterpret_cast<Unsigned>(bytes) + 1);
  return reinterpret_cast<Pair>((up <= 0x20) | (bytes == '"') | (bytes == '\\'));
}

/// Copies a text, in steps that overlap; returns marks of what cannot stay as it is.
inline Pair copy_marking(char* out, const char* in, std::size_t size) {
  constexpr std::uint64_t kBlanks = 0x2020202020202020ULL;
  if (size >= 16) {
    Pair bad = marked(copy<Sixteen>(out + size - 16, in + size - 16));
    for (std::size_t i = 0; i + 16 < size; i += 16) bad |= marked(copy<Sixteen>(out + i, in + i));
    return bad;
  }
  std::uint64_t first = kBlanks;
  std::uint64_t last = kBlanks;
  if (size >= 8) {
    first = copy<std::uint64_t>(out, in);
    last = copy<std::uint64_t>(out + size - 8, in + size - 8);
  } else if (size >= 4) {
    first = std::uint64_t{copy<std::uint32_t>(out, in)} << 32 | copy<std::uint32_t>(out + size - 4, in + size - 4);
  } else if (size > 0) {
    const std::size_t middle = size / 2;
    out[0] = in[0];
    out[middle] = in[middle];
    out[size - 1] = in[size - 1];
    const auto byte = [in](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(in[i])}; };
    first = kBlanks << 24 | byte(0) << 16 | byte(middle) << 8 | byte(size - 1);
  }
  return marked(reinterpret_cast<Sixteen>(Pair{first, last}));
}

/// Copies text that is JSON already.
template <std::size_t N>
char* put(char* out, const char (&literal)[N]) {
  std::memcpy(out, literal, N - 1);
  return out + N - 1;
}
inline char* put_number(char* out, std::uint64_t value) { return write_decimal(out, value); }
/// Writes a quoted string: control characters, quotes and backslashes escaped, bytes that are not UTF-8 replaced by U+FFFD.
char* put_text(char* out, std::string_view text);
/// Writes a field, `name` with its comma and colon before a text, if there is something to say.
template <std::size_t N>
char* put_field(char* out, const char (&name)[N], std::string_view text) {
  return text.empty() ? out : put_text(put(out, name), text);
}

/// Writes fields as put_field() does, but as if nothing needed escaping, and tells in the end whether that was so.
class PlainFields {
 public:
  template <std::size_t N>
  char* put_field(char* out, const char (&name)[N], std::string_view text) {
    if (text.empty()) return out;
    out = put(out, name);
    const std::size_t size = std::min(text.size(), kLongestText);
    *out++ = '"';
    bad_ |= copy_marking(out, text.data(), size);
    out[size] = '"';
    return out + size + 1;
  }
  [[nodiscard]] bool good() const { return !any(bad_); }

 private:
  Pair bad_{};
};

char* put_second(char* out, std::int64_t unix_s);
char* put_millisecond(char* out, unsigned millisecond);

/// Writes times as "2026-11-22T09:50:15.123Z", 24 bytes and quotes, from 1970 to 9999. Works out a second once.
class TimeText {
 public:
  char* put(char* out, std::int64_t unix_ms) {
    const std::int64_t time = unix_ms < 0 ? 0 : unix_ms;
    const std::int64_t second = time / 1000;
    if (second != second_) {
      put_second(text_, second);
      second_ = second;
    }
    std::memcpy(out, text_, sizeof text_);
    return put_millisecond(out + sizeof text_, static_cast<unsigned>(time - second * 1000));
  }

 private:
  std::int64_t second_ = -1;
  char text_[20] = {};
};

}  // namespace flexpert::telemetry::json_line
