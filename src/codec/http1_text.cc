// What names and targets may be.
#include "codec/http1.h"
#include "codec/http1_chars.h"

namespace flexpert::codec {

using namespace http1_chars;

bool http1_equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool http1_is_token(std::string_view text) { return !text.empty() && all(text, kToken); }

bool http1_is_host(std::string_view text) {
  std::size_t name_end = text.find_last_of(':');
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || bracket < 3) return false;
    const std::string_view inside = text.substr(1, bracket - 1);
    if (inside.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos || inside.find(':') == std::string_view::npos) return false;
    if (bracket + 1 == text.size()) return true;
    if (text[bracket + 1] != ':') return false;
    name_end = bracket + 1;
  } else {
    if (!all(text.substr(0, name_end), kHost) || text.find_first_of("[]:") < name_end) return false;
    if (name_end == 0 || text.empty()) return false;
    if (name_end == std::string_view::npos) return true;
  }
  const std::string_view port = text.substr(name_end + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  int number = 0;
  for (const char c : port) number = number * 10 + (c - '0');
  return number <= 65535;
}

bool http1_is_target(std::string_view target) {
  if (!target.starts_with('/') || !all(target, kTarget)) return false;
  for (std::size_t i = target.find('%'); i != std::string_view::npos; i = target.find('%', i + 1))
    if (i + 2 >= target.size() || !is(target[i + 1], kHexDigit) || !is(target[i + 2], kHexDigit)) return false;
  return true;
}

}  // namespace flexpert::codec
