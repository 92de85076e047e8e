#include "telemetry/json_line.h"

#include <algorithm>
#include <chrono>

namespace flexpert::telemetry::json_line {
namespace {

/// Returns the length of the UTF-8 sequence at the beginning of `text` (RFC 3629); 0 if there is none.
std::size_t sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

[[gnu::noinline]] char* put_escaped(char* out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = sequence(text);
    if (length == 0) {
      out = put(out, "\\ufffd");
    } else if (c == '"' || c == '\\') {
      *out++ = '\\';
      *out++ = static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      out = put(out, "\\u00");
      *out++ = kHex[c >> 4];
      *out++ = kHex[c & 15];
    } else {
      std::memcpy(out, text.data(), length);
      out += length;
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

char* put_text(char* out, std::string_view text) {
  const std::size_t size = std::min(text.size(), kLongestText);
  *out++ = '"';
  const Pair bad = copy_marking(out, text.data(), size);
  char* const end = any(bad) ? put_escaped(out, text.substr(0, size)) : out + size;
  *end = '"';
  return end + 1;
}

char* put_second(char* out, std::int64_t unix_s) {
  using namespace std::chrono;
  const sys_seconds time{seconds(std::clamp<std::int64_t>(unix_s, 0, 253402300799))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto of_day = static_cast<unsigned>((time - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  *out++ = '"';
  out = write_two_digits(write_two_digits(out, year / 100), year % 100);
  *out++ = '-';
  out = write_two_digits(out, static_cast<unsigned>(date.month()));
  *out++ = '-';
  out = write_two_digits(out, static_cast<unsigned>(date.day()));
  *out++ = 'T';
  out = write_two_digits(out, of_day / 3600);
  *out++ = ':';
  out = write_two_digits(out, of_day / 60 % 60);
  *out++ = ':';
  return write_two_digits(out, of_day % 60);
}

char* put_millisecond(char* out, unsigned millisecond) {
  *out++ = '.';
  *out++ = static_cast<char>('0' + millisecond / 100);
  out = write_two_digits(out, millisecond % 100);
  *out++ = 'Z';
  *out++ = '"';
  return out;
}

}  // namespace flexpert::telemetry::json_line
