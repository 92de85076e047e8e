#include "engine/tokenizer/utf8.h"

#include <algorithm>
#include <vector>

#include <utf8proc.h>

namespace flexpert::engine {
namespace {

/// The range that the second byte of a sequence may have: excludes overlong forms, surrogates and what is over U+10FFFF.
struct Lead {
  std::size_t length = 0;  // 0 = not a lead byte
  std::uint8_t second_least = 0x80;
  std::uint8_t second_most = 0xBF;
};

Lead lead_of(std::uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x80; });
}

bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int combining_class(std::int32_t code_point) { return utf8proc_get_property(code_point)->combining_class; }

/// Canonical ordering: runs of marks by combining class, stable. (utf8proc's own is quadratic in the run's length.)
void order_marks(std::vector<std::int32_t>& text) {
  for (auto at = text.begin(); at != text.end();) {
    if (combining_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, text.end(), [](std::int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(at, end, [](std::int32_t a, std::int32_t b) { return combining_class(a) < combining_class(b); });
    at = end;
  }
}

}  // namespace

Utf8Unit first_unit(std::string_view bytes) {
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const Lead lead = lead_of(first);
  if (lead.length == 0) return {Utf8Unit::Kind::kInvalid, 1};
  if (lead.length == 1) return {Utf8Unit::Kind::kCharacter, 1, first};
  char32_t code_point = first & (0x7FU >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {Utf8Unit::Kind::kUnfinished, i};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const std::uint8_t least = i == 1 ? lead.second_least : 0x80;
    const std::uint8_t most = i == 1 ? lead.second_most : 0xBF;
    if (byte < least || byte > most) return {Utf8Unit::Kind::kInvalid, i};
    code_point = (code_point << 6) | (byte & 0x3FU);
  }
  return {Utf8Unit::Kind::kCharacter, lead.length, code_point};
}

std::size_t append_valid(std::string_view bytes, std::string& out) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Unit unit = first_unit(bytes.substr(at));
    if (unit.kind == Utf8Unit::Kind::kUnfinished) break;
    out += unit.kind == Utf8Unit::Kind::kCharacter ? bytes.substr(at, unit.length) : kReplacementCharacter;
    at += unit.length;
  }
  return at;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (append_valid(bytes, text) < bytes.size()) text += kReplacementCharacter;
  return text;
}

void append_utf8(char32_t code_point, std::string& out) {
  std::uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

CharClass class_of(char32_t c) {
  if (c < 0x80) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return CharClass::kLetter;
    if (c >= '0' && c <= '9') return CharClass::kNumber;
    if (c == '\r' || c == '\n') return CharClass::kNewline;
    return is_white_space(c) ? CharClass::kSpace : CharClass::kOther;
  }
  if (is_white_space(c)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return CharClass::kNumber;
    default: return CharClass::kOther;
  }
}

bool is_word(char32_t c) {
  if (class_of(c) == CharClass::kLetter || c == 0x200C || c == 0x200D) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
  }
}

std::string to_nfc(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  std::vector<std::int32_t> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Unit unit = first_unit(text.substr(at));
    at += unit.length;
    utf8proc_int32_t parts[32];
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(unit.code_point), parts, 32,
                                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &boundary);
    if (count < 0 || count > 32) {
      points.push_back(static_cast<std::int32_t>(unit.code_point));
    } else {
      points.insert(points.end(), parts, parts + count);
    }
  }
  order_marks(points);
  const auto length = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < length; ++i) append_utf8(static_cast<char32_t>(points[static_cast<std::size_t>(i)]), out);
  return out;
}

}  // namespace flexpert::engine
