#include <charconv>

#include "codec/http1.h"
#include "codec/http1_chars.h"

namespace flexpert::codec {
namespace {

void append_clean(std::string& out, std::string_view value) {
  for (const char c : value) out += http1_chars::is(c, http1_chars::kFieldValue) ? c : ' ';
}

void append_number(std::string& out, std::uint64_t value, int base) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
  out.append(digits, end);
}

}  // namespace

void append_http1_request_line(std::string& out, std::string_view method, std::string_view target) {
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
}

void append_http1_status_line(std::string& out, int status, std::string_view reason) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(status), 10);
  out.append(" ");
  append_clean(out, reason);
  out.append("\r\n");
}

void append_http1_field(std::string& out, std::string_view name, std::string_view value) {
  if (!http1_is_token(name)) return;
  out.append(name).append(": ");
  append_clean(out, value);
  out.append("\r\n");
}

std::string http1_chunk_prefix(std::size_t bytes) {
  std::string prefix;
  append_number(prefix, bytes, 16);
  prefix.append("\r\n");
  return prefix;
}

}  // namespace flexpert::codec
