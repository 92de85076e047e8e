#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/clock.h"

/// The lines that a server adds to an answer's head.
namespace flexpert::http {

/// The field Date, written anew once a second.
class DateLine {
 public:
  /// Returns "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"; `now` is the loop's time, by which the line is kept.
  std::string_view at(TimePoint now) {
    if (now >= fresh_until_) renew(now);
    return {text_, sizeof text_ - 1};
  }

 private:
  void renew(TimePoint now);

  char text_[sizeof "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"] = {};
  TimePoint fresh_until_{};
};

/// Writes "HTTP/1.1 STATUS REASON\r\n" to `to`, which has room for 64 bytes. Returns the end.
char* write_status_line(char* to, int status);
/// Writes hexadecimal digits, at most 16. Returns the end.
char* write_hex(char* to, std::uint64_t value);
/// Copies `text`. Returns the end.
inline char* write_text(char* to, std::string_view text) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace flexpert::http
