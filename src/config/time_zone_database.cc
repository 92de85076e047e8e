#include "config/time_zone_database.h"

#include <chrono>
#include <exception>

#include <date/tz.h>

namespace flexpert::config {
namespace {

constexpr std::size_t kLongestName = 64;

/// Names become paths below the database's folder.
bool is_zone_name(const std::string& name) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
  return !name.empty() && name.size() <= kLongestName && name.front() != '/' && name.back() != '/' && name.find_first_not_of(kAllowed) == std::string::npos;
}

TimeZone read_changes(const std::string& name) {
  const date::time_zone* zone = date::locate_zone(name);
  TimeZone out;
  out.name = name;
  const date::sys_seconds end = date::sys_days(date::year(2100) / 1 / 1);
  date::sys_info info = zone->get_info(date::sys_seconds(std::chrono::seconds(0)));
  out.first_offset_s = static_cast<std::int32_t>(info.offset.count());
  while (info.end < end) {
    const date::sys_seconds change = info.end;
    info = zone->get_info(change);
    const auto offset = static_cast<std::int32_t>(info.offset.count());
    const std::int32_t before = out.changes.empty() ? out.first_offset_s : out.changes.back().offset_s;
    if (offset != before) out.changes.push_back({change.time_since_epoch().count(), offset});
    if (info.end <= change) break;
  }
  return out;
}

}  // namespace

Result<TimeZone> load_time_zone(const std::string& name) {
  if (name == "UTC") return TimeZone{};
  if (is_zone_name(name)) {
    try {
      return read_changes(name);
    } catch (const std::exception&) {  // a name that the database does not have, or no database
    }
  }
  return fail(ErrorCode::kInvalidArgument, "there is no time zone \"{}\" in the system's database; allowed: UTC, or a name such as Europe/Berlin",
              name.substr(0, kLongestName));
}

}  // namespace flexpert::config
