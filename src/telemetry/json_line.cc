#include "telemetry/json_line.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace flexpert::telemetry::json_line {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

/// Tells whether eight bytes are printable ASCII without quotes and backslashes. A byte under 0x80 minus one has the high bit if it
/// was 0; borrowing from the next byte only follows on such a one.
bool plain(std::uint64_t bytes) {
  const std::uint64_t controls = bytes - kOnes * 0x20;
  const std::uint64_t deletes = (bytes ^ (kOnes * 0x7f)) - kOnes;
  const std::uint64_t quotes = (bytes ^ (kOnes * '"')) - kOnes;
  const std::uint64_t slashes = (bytes ^ (kOnes * '\\')) - kOnes;
  return ((bytes | controls | deletes | quotes | slashes) & kHighBits) == 0;
}

std::uint64_t load(const char* bytes, std::size_t size) {
  std::uint64_t value = kOnes * 'a';
  std::memcpy(&value, bytes, size);
  return value;
}

/// Copies `text` if nothing in it needs more; null if something does.
char* put_plain(char* out, std::string_view text) {
  const char* in = text.data();
  const std::size_t size = text.size();
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 < size; i += 8) {
      const std::uint64_t bytes = load(in + i, 8);
      if (!plain(bytes)) return nullptr;
      std::memcpy(out + i, &bytes, 8);
    }
    const std::uint64_t last = load(in + size - 8, 8);
    if (!plain(last)) return nullptr;
    std::memcpy(out + size - 8, &last, 8);
    return out + size;
  }
  if (size >= 4) {
    const std::uint64_t both = load(in, 4) << 32 | (load(in + size - 4, 4) & 0xffffffffU);
    if (!plain(both)) return nullptr;
    std::memcpy(out, in, 4);
    std::memcpy(out + size - 4, in + size - 4, 4);
    return out + size;
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (!plain(load(in + i, 1))) return nullptr;
    out[i] = in[i];
  }
  return out + size;
}

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

char* put_escaped(char* out, std::string_view text) {
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

constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

char* put_pair(char* out, unsigned value) {
  std::memcpy(out, &kPairs[std::size_t{2} * value], 2);
  return out + 2;
}

}  // namespace

char* put_number(char* out, std::uint64_t value) {
  if (value < 10) {
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  char digits[kLargestNumber];
  char* at = digits + sizeof digits;
  while (value >= 100) {
    at -= 2;
    put_pair(at, static_cast<unsigned>(value % 100));
    value /= 100;
  }
  if (value >= 10) {
    at -= 2;
    put_pair(at, static_cast<unsigned>(value));
  } else {
    *--at = static_cast<char>('0' + value);
  }
  const auto size = static_cast<std::size_t>(digits + sizeof digits - at);
  std::memcpy(out, at, size);
  return out + size;
}

char* put_text(char* out, std::string_view text) {
  text = text.substr(0, kLongestText);
  *out++ = '"';
  char* end = put_plain(out, text);
  if (end == nullptr) end = put_escaped(out, text);
  *end++ = '"';
  return end;
}

char* put_time(char* out, std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(std::clamp<std::int64_t>(unix_ms, 0, 253402300799999))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto of_day = static_cast<std::uint64_t>((time - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  *out++ = '"';
  out = put_pair(put_pair(out, year / 100), year % 100);
  *out++ = '-';
  out = put_pair(out, static_cast<unsigned>(date.month()));
  *out++ = '-';
  out = put_pair(out, static_cast<unsigned>(date.day()));
  *out++ = 'T';
  out = put_pair(out, static_cast<unsigned>(of_day / 3600000));
  *out++ = ':';
  out = put_pair(out, static_cast<unsigned>(of_day / 60000 % 60));
  *out++ = ':';
  out = put_pair(out, static_cast<unsigned>(of_day / 1000 % 60));
  *out++ = '.';
  *out++ = static_cast<char>('0' + of_day / 100 % 10);
  out = put_pair(out, static_cast<unsigned>(of_day % 100));
  *out++ = 'Z';
  *out++ = '"';
  return out;
}

}  // namespace flexpert::telemetry::json_line
