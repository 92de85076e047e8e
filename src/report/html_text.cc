#include "report/html_text.h"

#include <cstdint>

#include <fmt/format.h>

namespace flexpert::report {

namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

/// Takes one character from the front of `text`: its code point, or U+FFFD for a byte that does not begin valid UTF-8.
std::uint32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  std::uint32_t code = length == 1 ? first : length == 0 ? kReplacement : first & (0xFFU >> (length + 1));
  bool valid = length != 0 && length <= text.size();
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = byte(i) >> 6 == 2;
    code = code << 6 | (byte(i) & 63);
  }
  static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  valid = valid && code >= kLeast[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  text.remove_prefix(valid ? length : 1);
  return valid ? code : kReplacement;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto add = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) return add(0xC0 | code >> 6), add(0x80 | (code & 63));
  if (code < 0x10000) return add(0xE0 | code >> 12), add(0x80 | (code >> 6 & 63)), add(0x80 | (code & 63));
  add(0xF0 | code >> 18), add(0x80 | (code >> 12 & 63)), add(0x80 | (code >> 6 & 63)), add(0x80 | (code & 63));
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::uint32_t code = take_character(text);
    switch (code) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: append_utf8(out, (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7F && code < 0xA0) ? kReplacement : code);
    }
  }
  return out;
}

std::string script_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::uint32_t code = take_character(text);
    const bool escaped = code < 0x20 || code == '"' || code == '\\' || code == '<' || code == '>' || code == '&' || code == 0x2028 || code == 0x2029;
    if (escaped)
      out += fmt::format("\\u{:04x}", code);
    else
      append_utf8(out, code);
  }
  return out + '"';
}

}  // namespace flexpert::report
