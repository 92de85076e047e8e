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

namespace {

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || !all(text, kDigit)) return false;
  int number = 0;
  for (const char c : text) number = number * 10 + (c - '0');
  return number <= 65535;
}

}  // namespace

bool http1_is_host(std::string_view text) {
  std::size_t name = 0;
  if (text.starts_with('[')) {
    bool colon = false;
    for (name = 1; name < text.size() && (is(text[name], kHexDigit) || text[name] == ':' || text[name] == '.'); ++name) colon = colon || text[name] == ':';
    if (name < 3 || name == text.size() || text[name] != ']' || !colon) return false;
    ++name;
  } else {
    while (name < text.size() && is(text[name], kHost)) ++name;
    if (name == 0) return false;
  }
  return name == text.size() || (text[name] == ':' && is_port(text.substr(name + 1)));
}

bool http1_is_target(std::string_view target) {
  if (!target.starts_with('/') || !all(target, kTarget)) return false;
  for (std::size_t i = target.find('%'); i != std::string_view::npos; i = target.find('%', i + 1))
    if (i + 2 >= target.size() || !is(target[i + 1], kHexDigit) || !is(target[i + 2], kHexDigit)) return false;
  return true;
}

}  // namespace flexpert::codec
