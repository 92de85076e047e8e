#include "scaling/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <span>
#include <string>

namespace flexpert::scaling {
namespace {

namespace chrono = std::chrono;

constexpr std::int64_t kDay = 86400;

struct Field {
  std::string_view name;
  std::uint32_t low;
  std::uint32_t high;
  std::span<const std::string_view> names;  ///< the first stands for `low`
};

constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdays{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
constexpr std::array<Field, 5> kFields{
    {{"minute", 0, 59, {}}, {"hour", 0, 23, {}}, {"day of month", 1, 31, {}}, {"month", 1, 12, kMonths}, {"day of week", 0, 7, kWeekdays}}};

std::optional<std::uint32_t> number_in(std::string_view text) {
  std::uint32_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::unexpected<Error> wrong(const Field& field, std::string_view text) {
  return fail(ErrorCode::kInvalidArgument, "\"{}\" is given as {}; allowed: *, a number from {} to {}{}, A-B, a step /N after * or A-B, and lists of them",
              text.substr(0, 40), field.name, field.low, field.high, field.names.empty() ? "" : " or a name such as " + std::string(field.names[1]));
}

std::optional<std::uint32_t> value_of(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    const std::string_view name = field.names[i];
    if (std::equal(text.begin(), text.end(), name.begin(), name.end(), [](char a, char b) { return a == b || a == b - 'A' + 'a'; }))
      return field.low + static_cast<std::uint32_t>(i);
  }
  const auto value = number_in(text);
  if (!value || *value < field.low || *value > field.high) return std::nullopt;
  return value;
}

Result<std::uint64_t> parse_item(const Field& field, std::string_view item) {
  std::uint32_t step = 1;
  std::string_view range = item;
  const bool stepped = item.find('/') != std::string_view::npos;
  if (stepped) {
    const auto given = number_in(item.substr(item.find('/') + 1));
    if (!given || *given == 0 || *given > field.high) return wrong(field, item);
    step = *given;
    range = item.substr(0, item.find('/'));
  }
  std::uint32_t from = field.low;
  std::uint32_t to = field.names.size() == kWeekdays.size() ? field.high - 1 : field.high;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto first = value_of(field, range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : value_of(field, range.substr(dash + 1));
    if (!first || !last || *first > *last || (stepped && dash == std::string_view::npos)) return wrong(field, item);
    from = *first;
    to = *last;
  }
  std::uint64_t bits = 0;
  for (std::uint32_t value = from; value <= to; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Result<std::uint64_t> parse_field(const Field& field, std::string_view text) {
  std::uint64_t bits = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    FLEXPERT_ASSIGN(const std::uint64_t item, parse_item(field, text.substr(0, comma)));
    bits |= item;
    if (comma == std::string_view::npos) return bits;
    text.remove_prefix(comma + 1);
  }
}

/// The instants at which the zone's clock shows these local seconds: one, or two where clocks go back; where they jump over
/// it, the instant of the jump.
std::vector<std::int64_t> instants_of(const TimeZone& zone, std::int64_t local_s) {
  std::vector<std::int64_t> out;
  const auto try_offset = [&](std::int32_t offset) {
    const std::int64_t at = local_s - offset;
    if (zone.offset_at(at) == offset && std::find(out.begin(), out.end(), at) == out.end()) out.push_back(at);
  };
  const auto first = std::lower_bound(zone.changes.begin(), zone.changes.end(), local_s - 2 * kDay,
                                      [](const TimeZone::Change& change, std::int64_t at) { return change.unix_s < at; });
  std::int32_t before = zone.offset_at(local_s - 2 * kDay - 1);
  try_offset(before);
  std::optional<std::int64_t> jump;
  for (auto change = first; change != zone.changes.end() && change->unix_s <= local_s + 2 * kDay; ++change) {
    try_offset(change->offset_s);
    if (change->unix_s + before <= local_s && local_s < change->unix_s + change->offset_s) jump = change->unix_s;
    before = change->offset_s;
  }
  if (out.empty() && jump) out.push_back(*jump);
  std::sort(out.begin(), out.end());
  return out;
}

std::int64_t changed_by(const TimeZone& zone, std::int64_t from_s, std::int64_t to_s) {
  const auto first = std::lower_bound(zone.changes.begin(), zone.changes.end(), from_s - 2 * kDay,
                                      [](const TimeZone::Change& change, std::int64_t at) { return change.unix_s < at; });
  std::int64_t sum = 0;
  std::int32_t before = first == zone.changes.begin() ? zone.first_offset_s : std::prev(first)->offset_s;
  for (auto change = first; change != zone.changes.end() && change->unix_s <= to_s + 2 * kDay; ++change) {
    sum += std::abs(change->offset_s - before);
    before = change->offset_s;
  }
  return sum;
}

}  // namespace

Result<CronPattern> parse_cron(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t", begin), text.size());
    parts.push_back(text.substr(begin, at - begin));
  }
  if (parts.size() != kFields.size())
    return fail(ErrorCode::kInvalidArgument, "\"{}\" has {} fields; allowed: five, minute hour day-of-month month day-of-week, as \"30 8 * * MON-FRI\"",
                text.substr(0, 60), parts.size());
  std::array<std::uint64_t, 5> bits{};
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    FLEXPERT_ASSIGN(bits[i], parse_field(kFields[i], parts[i]));
  }
  CronPattern out;
  out.minutes = bits[0];
  out.hours = static_cast<std::uint32_t>(bits[1]);
  out.days = static_cast<std::uint32_t>(bits[2]);
  out.months = static_cast<std::uint32_t>(bits[3]);
  out.weekdays = static_cast<std::uint32_t>((bits[4] & 0x7f) | (bits[4] >> 7 & 1));
  out.every_hour = parts[1].front() == '*';
  out.every_day = parts[2].front() == '*';
  out.every_weekday = parts[4].front() == '*';
  return out;
}

bool names_day(const CronPattern& pattern, chrono::year_month_day day) {
  if ((pattern.months >> static_cast<unsigned>(day.month()) & 1) == 0) return false;
  const bool of_month = (pattern.days >> static_cast<unsigned>(day.day()) & 1) != 0;
  const bool of_week = (pattern.weekdays >> chrono::weekday(chrono::sys_days(day)).c_encoding() & 1) != 0;
  if (!pattern.every_day && !pattern.every_weekday) return of_month || of_week;
  return of_month && of_week;
}

std::optional<chrono::year_month_day> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = number_in(text.substr(0, 4));
  const auto month = number_in(text.substr(5, 2));
  const auto day = number_in(text.substr(8, 2));
  if (!year || !month || !day || *year < 1970 || *year > 2200) return std::nullopt;
  const chrono::year_month_day date{chrono::year(static_cast<int>(*year)), chrono::month(*month), chrono::day(*day)};
  return date.ok() ? std::optional(date) : std::nullopt;
}

std::optional<std::int64_t> newest_begin(const CronPattern& pattern, const TimeZone& zone, std::int64_t unix_s, std::int64_t within_s,
                                         const std::vector<chrono::year_month_day>& left_out) {
  const std::int64_t local = unix_s + zone.offset_at(unix_s);
  // Local clocks and instants go in the same order, but for what the clock was changed by in between.
  const std::int64_t slack = changed_by(zone, unix_s - within_s, unix_s);
  const auto day_of = [](std::int64_t local_s) { return chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(local_s))); };
  std::optional<std::int64_t> newest;
  std::int64_t earliest_local = local - within_s - slack;
  for (auto date = day_of(local + slack); date >= day_of(earliest_local); date -= chrono::days(1)) {
    const chrono::year_month_day day(date);
    if (!names_day(pattern, day) || std::find(left_out.begin(), left_out.end(), day) != left_out.end()) continue;
    const std::int64_t midnight = chrono::duration_cast<chrono::seconds>(date.time_since_epoch()).count();
    for (int of_day = 24 * 60 - 1; of_day >= 0; --of_day) {
      if ((pattern.hours >> (of_day / 60) & 1) == 0) {
        of_day -= of_day % 60;
        continue;
      }
      const std::int64_t at = midnight + of_day * 60;
      if (at > local + slack || (pattern.minutes >> (of_day % 60) & 1) == 0) continue;
      if (at < earliest_local) break;
      const std::vector<std::int64_t> instants = instants_of(zone, at);
      const std::size_t usable = pattern.every_hour ? instants.size() : std::min<std::size_t>(instants.size(), 1);
      for (std::size_t i = 0; i < usable; ++i) {
        if (instants[i] > unix_s || instants[i] <= unix_s - within_s || (newest && instants[i] <= *newest)) continue;
        newest = instants[i];
        earliest_local = at - slack;
      }
    }
  }
  return newest;
}

}  // namespace flexpert::scaling
