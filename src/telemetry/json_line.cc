#include "telemetry/json_line.h"

#include <algorithm>
#include <array>
#include <bit>
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

/// Sixteen signed bytes (a vector of g++ and clang++), for longer texts.
using Sixteen [[gnu::vector_size(16)]] = signed char;

/// The same as plain() of sixteen: what is negative or under a blank is no printable ASCII.
bool plain(Sixteen bytes) {
  const auto marked = (bytes < 0x20) | (bytes == 0x7f) | (bytes == '"') | (bytes == '\\');
  std::array<std::uint64_t, 2> halves{};
  std::memcpy(halves.data(), &marked, sizeof marked);
  return (halves[0] | halves[1]) == 0;
}

template <class Bytes>
bool copy_plain(char* out, const char* in) {
  Bytes bytes;
  std::memcpy(&bytes, in, sizeof bytes);
  std::memcpy(out, &bytes, sizeof bytes);
  return plain(bytes);
}

/// Copies text at least as long as Bytes in steps of it, the last one overlapping.
template <class Bytes>
bool copy_all_plain(char* out, std::string_view text) {
  const char* in = text.data();
  const std::size_t last = text.size() - sizeof(Bytes);
  for (std::size_t i = 0; i < last; i += sizeof(Bytes))
    if (!copy_plain<Bytes>(out + i, in + i)) return false;
  return copy_plain<Bytes>(out + last, in + last);
}

/// Copies `text` if nothing in it needs more; null if something does.
char* put_plain(char* out, std::string_view text) {
  const char* in = text.data();
  const std::size_t size = text.size();
  bool well = true;
  if (size >= sizeof(Sixteen)) {
    well = copy_all_plain<Sixteen>(out, text);
  } else if (size >= sizeof(std::uint64_t)) {
    well = copy_all_plain<std::uint64_t>(out, text);
  } else if (size >= 4) {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::memcpy(&first, in, 4);
    std::memcpy(&last, in + size - 4, 4);
    std::memcpy(out, &first, 4);
    std::memcpy(out + size - 4, &last, 4);
    well = plain(std::uint64_t{first} << 32 | last);
  } else {
    std::uint64_t all = kOnes * 'a';
    for (std::size_t i = 0; i < size; ++i) {
      out[i] = in[i];
      all = all << 8 | static_cast<unsigned char>(in[i]);
    }
    well = plain(all);
  }
  return well ? out + size : nullptr;
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

/// Returns the number of decimal digits of `value`, which is over 0.
std::size_t digits_of(std::uint64_t value) {
  static constexpr auto kPowers = [] {
    std::array<std::uint64_t, 20> powers{1};
    for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
    return powers;
  }();
  // log10(2) is 1233 / 4096, closely enough for 64 bits: at most one too few.
  const auto least = static_cast<std::size_t>(std::bit_width(value)) * 1233 >> 12;
  return least + (value >= kPowers[least] ? 1 : 0);
}

}  // namespace

char* put_number(char* out, std::uint64_t value) {
  if (value < 10) {
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  char* const end = out + digits_of(value);
  char* at = end;
  for (; value >= 100; value /= 100) put_pair(at -= 2, static_cast<unsigned>(value % 100));
  if (value >= 10) put_pair(at - 2, static_cast<unsigned>(value));
  else *--at = static_cast<char>('0' + value);
  return end;
}

char* put_text(char* out, std::string_view text) {
  text = text.substr(0, kLongestText);
  *out++ = '"';
  char* end = put_plain(out, text);
  if (end == nullptr) end = put_escaped(out, text);
  *end++ = '"';
  return end;
}

char* put_second(char* out, std::int64_t unix_s) {
  using namespace std::chrono;
  const sys_seconds time{seconds(std::clamp<std::int64_t>(unix_s, 0, 253402300799))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto of_day = static_cast<unsigned>((time - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  *out++ = '"';
  out = put_pair(put_pair(out, year / 100), year % 100);
  *out++ = '-';
  out = put_pair(out, static_cast<unsigned>(date.month()));
  *out++ = '-';
  out = put_pair(out, static_cast<unsigned>(date.day()));
  *out++ = 'T';
  out = put_pair(out, of_day / 3600);
  *out++ = ':';
  out = put_pair(out, of_day / 60 % 60);
  *out++ = ':';
  return put_pair(out, of_day % 60);
}

char* put_millisecond(char* out, unsigned millisecond) {
  *out++ = '.';
  *out++ = static_cast<char>('0' + millisecond / 100);
  out = put_pair(out, millisecond % 100);
  *out++ = 'Z';
  *out++ = '"';
  return out;
}

}  // namespace flexpert::telemetry::json_line
