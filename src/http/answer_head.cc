#include "http/answer_head.h"

#include <charconv>
#include <ctime>

#include "base/decimal.h"
#include "http/message.h"

namespace flexpert::http {

void DateLine::renew(TimePoint now) {
  const std::time_t wall = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&wall, &utc);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto two = [](char* to, int value) {
    to[0] = static_cast<char>('0' + value / 10 % 10);
    to[1] = static_cast<char>('0' + value % 10);
    return to + 2;
  };
  char* to = write_text(text_, "Date: ");
  to = write_text(write_text(to, kDays[utc.tm_wday]), ", ");
  to = write_text(write_text(write_text(two(to, utc.tm_mday), " "), kMonths[utc.tm_mon]), " ");
  to = two(two(to, (utc.tm_year + 1900) / 100), (utc.tm_year + 1900) % 100);
  to = two(write_text(two(write_text(two(write_text(to, " "), utc.tm_hour), ":"), utc.tm_min), ":"), utc.tm_sec);
  write_text(to, " GMT\r\n");
  fresh_until_ = now + Seconds(1);
}

char* write_status_line(char* to, int status) {
  if (status == 200) return write_text(to, "HTTP/1.1 200 OK\r\n");
  to = write_decimal(write_text(to, "HTTP/1.1 "), static_cast<std::uint64_t>(status));
  return write_text(write_text(write_text(to, " "), reason_phrase(status)), "\r\n");
}

char* write_hex(char* to, std::uint64_t value) { return std::to_chars(to, to + 20, value, 16).ptr; }

}  // namespace flexpert::http
