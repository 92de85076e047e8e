#include "gateway/json_tokens.h"

#include <cstdint>

namespace flexpert::gateway {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Returns the value of a hex digit; -1 if it is none.
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::uint32_t four_digits(const char* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 4 | static_cast<std::uint32_t>(hex_value(at[i]));
  return value;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xc0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xe0 | point >> 12);
    } else {
      byte(0xf0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3f));
    }
    byte(0x80 | (point >> 6 & 0x3f));
  }
  byte(0x80 | (point & 0x3f));
}

}  // namespace

const char* skip_json_spaces(const char* at) {
  while (is_json_space(*at)) ++at;
  return at;
}

const char* skip_json_escape(const char* at, const char* end) {
  if (end - at < 2) return nullptr;
  switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': return at + 2;
    case 'u':
      if (end - at < 6) return nullptr;
      for (int i = 2; i < 6; ++i)
        if (hex_value(at[i]) < 0) return nullptr;
      return at + 6;
    default: return nullptr;
  }
}

const char* skip_json_number(const char* at, const char* end) {
  const auto digits = [&] {
    const char* const begin = at;
    while (at != end && is_digit(*at)) ++at;
    return at != begin;
  };
  if (at != end && *at == '-') ++at;
  if (at != end && *at == '0') ++at;
  else if (!digits()) return nullptr;
  if (at != end && *at == '.') {
    ++at;
    if (!digits()) return nullptr;
  }
  if (at != end && (*at | 0x20) == 'e') {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (!digits()) return nullptr;
  }
  return at;
}

bool decode_json_string(std::string_view inside, std::string& out) {
  out.clear();
  for (std::size_t at = 0; at < inside.size();) {
    if (inside[at] != '\\') {
      out += inside[at++];
      continue;
    }
    const char kind = inside[at + 1];
    at += 2;
    if (kind != 'u') {
      constexpr std::string_view kFrom = "bfnrt";
      const std::size_t control = kFrom.find(kind);
      out += control == std::string_view::npos ? kind : "\b\f\n\r\t"[control];
      continue;
    }
    std::uint32_t point = four_digits(inside.data() + at);
    at += 4;
    if (point >= 0xdc00 && point < 0xe000) return false;
    if (point >= 0xd800 && point < 0xdc00) {
      if (inside.size() - at < 6 || inside[at] != '\\' || inside[at + 1] != 'u') return false;
      const std::uint32_t low = four_digits(inside.data() + at + 2);
      if (low < 0xdc00 || low >= 0xe000) return false;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    append_utf8(out, point);
  }
  return true;
}

}  // namespace flexpert::gateway
