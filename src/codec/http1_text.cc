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

bool http1_is_target(std::string_view target) {
  if (!target.starts_with('/') || !all(target, kTarget)) return false;
  for (std::size_t i = target.find('%'); i != std::string_view::npos; i = target.find('%', i + 1))
    if (i + 2 >= target.size() || !is(target[i + 1], kHexDigit) || !is(target[i + 2], kHexDigit)) return false;
  return true;
}

}  // namespace flexpert::codec
