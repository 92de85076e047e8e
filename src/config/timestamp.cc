#include "config/timestamp.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace flexpert::config {
namespace {

constexpr std::int64_t kLastMs = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z
constexpr std::int64_t kDayMs = 86'400'000;

/// Reads digits alone: no sign, no blanks.
std::optional<unsigned> digits(std::string_view text) {
  unsigned value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!all || error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_date_ms(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)), day = digits(text.substr(8, 2));
  if (!year || !month || !day || *year < 1970) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() * kDayMs;
}

}  // namespace

std::string format_timestamp(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(std::clamp<std::int64_t>(unix_ms, 0, kLastMs))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const auto of_day = (time - day).count() / 1000;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), of_day / 3600, of_day / 60 % 60, of_day % 60);
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  const auto date = parse_date_ms(text.substr(0, 10));
  if (!date || text.size() == 10) return date;
  if (text.size() != 20 || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[19] != 'Z') return std::nullopt;
  const auto hour = digits(text.substr(11, 2)), minute = digits(text.substr(14, 2)), second = digits(text.substr(17, 2));
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return *date + (static_cast<std::int64_t>(*hour) * 3600 + *minute * 60 + *second) * 1000;
}

std::optional<std::int64_t> parse_span_ms(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto count = digits(text.substr(0, text.size() - 1));
  const std::int64_t unit = text.back() == 's'   ? 1000
                            : text.back() == 'm' ? 60'000
                            : text.back() == 'h' ? 3'600'000
                            : text.back() == 'd' ? kDayMs
                                                 : 0;
  if (!count || unit == 0 || *count > 36'525 * kDayMs / unit) return std::nullopt;
  return *count * unit;
}

}  // namespace flexpert::config
