#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time_zone.h"

namespace flexpert::scaling {

/// The minutes that a cron expression names, as bits.
struct CronPattern {
  std::uint64_t minutes = 0;   ///< bit 0..59
  std::uint32_t hours = 0;     ///< bit 0..23
  std::uint32_t days = 0;      ///< bit 1..31
  std::uint32_t months = 0;    ///< bit 1..12
  std::uint32_t weekdays = 0;  ///< bit 0..6, Sunday is 0
  bool every_hour = false;     ///< the field is "*" or begins with "*/"
  bool every_day = false;
  bool every_weekday = false;
};

/// Reads five fields: minute, hour, day of month, month, day of week. A field is "*", a number, a name (JAN..DEC, SUN..SAT;
/// Sunday is 0 or 7), a range A-B, any of them with a step /N, or several separated by commas. Errors: kInvalidArgument
/// saying which field, and what is allowed.
Result<CronPattern> parse_cron(std::string_view text);

/// Tells whether the pattern has a minute on that day. Where both days are restricted either is enough, as in cron.
bool names_day(const CronPattern& pattern, std::chrono::year_month_day day);

/// Reads "YYYY-MM-DD", 1970 to 2200; nothing if there is no such day.
std::optional<std::chrono::year_month_day> parse_date(std::string_view text);

/// Returns the newest instant (unix seconds) at or before `unix_s`, and not more than `within_s` before it, at which the
/// pattern begins, by the zone's clock; days in `left_out` begin nothing. Where clocks go forward, a minute that is left out
/// begins at the moment of the change. Where they go back, a minute that comes twice begins at the first, or at both if the
/// pattern's hour is "*" or "*/N".
std::optional<std::int64_t> newest_begin(const CronPattern& pattern, const TimeZone& zone, std::int64_t unix_s, std::int64_t within_s,
                                         const std::vector<std::chrono::year_month_day>& left_out);

}  // namespace flexpert::scaling
