#include "routing/cache_key.h"

#include <algorithm>
#include <charconv>

namespace flexpert::routing {
namespace {

constexpr std::string_view kFormat = "flexpert-cache-1";

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end.ptr);
  out += ':';
}

void append_part(std::string& out, std::string_view part) {
  append_number(out, part.size());
  out += part;
}

bool same_without_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

void write_cache_key_text(const CacheScope& scope, std::string_view canonical_body, std::string& out) {
  out.clear();
  append_part(out, kFormat);
  append_part(out, scope.tenant);
  append_part(out, scope.rights_digest);
  append_part(out, scope.model);
  append_number(out, scope.model_epoch);
  append_part(out, scope.path);
  append_number(out, scope.cap_max_tokens);
  append_part(out, canonical_body);
}

CacheControl parse_cache_control(std::string_view value) {
  CacheControl control;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view directive = trimmed(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (same_without_case(directive, "no-store")) control.no_store = true;
    if (same_without_case(directive, "no-cache") || same_without_case(directive, "max-age=0")) control.no_cache = true;
  }
  return control;
}

}  // namespace flexpert::routing
