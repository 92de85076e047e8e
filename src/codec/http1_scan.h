#pragma once

#include <cstddef>

#include "codec/http1_view.h"

/// The usual lines of HTTP/1.1 heads, read in one pass without saying what is wrong with others.
namespace flexpert::codec::http1_scan {

inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Notes what kind the last field is.
inline void note_field(Http1HeadView& head, Http1KnownField known) {
  std::uint16_t& first = head.first_[static_cast<std::size_t>(known)];
  if (first == 0) first = static_cast<std::uint16_t>(head.fields.size());
  else head.repeated_ |= std::uint32_t{1} << static_cast<unsigned>(known);
}

/// Reads lines as they should be into head.fields, at most `most` in all. Returns where the first begins that is not whole, not
/// right, or the empty one.
const char* read_fields(const char* at, const char* end, std::size_t most, Http1HeadView& head);

/// Reads a usual start line. Returns the byte behind it; null if it is any other.
const char* read_start_line(const char* at, const char* end, Http1RequestView& head);
const char* read_start_line(const char* at, const char* end, Http1ResponseView& head);

}  // namespace flexpert::codec::http1_scan
