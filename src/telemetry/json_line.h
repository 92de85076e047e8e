#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// Writes JSON into memory that is known to be large enough: what logs need on the request path.
namespace flexpert::telemetry::json_line {

/// Longest text that is written of one field; what goes beyond is cut off.
inline constexpr std::size_t kLongestText = 256;
/// Bytes that a text of that length may take, quotes included.
inline constexpr std::size_t kLargestText = kLongestText * 6 + 2;
/// Bytes that an integer may take.
inline constexpr std::size_t kLargestNumber = 20;

/// Copies text that is JSON already.
template <std::size_t N>
char* put(char* out, const char (&literal)[N]) {
  std::memcpy(out, literal, N - 1);
  return out + N - 1;
}
char* put_number(char* out, std::uint64_t value);
/// Writes a quoted string: control characters, quotes and backslashes escaped, bytes that are not UTF-8 replaced by U+FFFD.
char* put_text(char* out, std::string_view text);
/// Writes a field, `name` with its comma and colon before a text, if there is something to say.
template <std::size_t N>
char* put_field(char* out, const char (&name)[N], std::string_view text) {
  return text.empty() ? out : put_text(put(out, name), text);
}
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
