#include "codec/series_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "codec/csv_cells.h"

namespace flexpert::codec {

namespace {

using csv::number;
using csv::shown;
using csv::trimmed;

constexpr double kLargestTime = 1e13;
constexpr double kLargestValue = 1e290;
constexpr std::size_t kMaxLines = std::size_t{1} << 23;
constexpr std::size_t kMaxColumns = 256;

struct TimeName {
  std::string_view name;
  double unit_s;
};
constexpr std::array kTimeNames = {TimeName{"t_s", 1},       TimeName{"t", 1},          TimeName{"time", 1},    TimeName{"time_s", 1},
                                   TimeName{"timestamp", 1}, TimeName{"seconds", 1},    TimeName{"t_ms", 1e-3}, TimeName{"minute", 60},
                                   TimeName{"minutes", 60}};
constexpr std::array<std::string_view, 3> kValueNames = {"value", "rate_rps", "req_per_min"};

bool is_gap(std::string_view field) {
  return field.empty() || field == "-" || field == "null" || field == "nan" || field == "NaN" || field == "NAN";
}

void split(std::string_view line, char separator, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const std::size_t end = line.find(separator);
    fields.push_back(trimmed(line.substr(0, end)));
    if (end == std::string_view::npos || fields.size() > kMaxColumns) return;
    line.remove_prefix(end + 1);
  }
}

/// Which column means what.
struct Columns {
  std::size_t time = 0;
  double unit_s = 1;
  std::size_t value = 1;
  std::size_t count = 0;
  bool per_client = false;
  std::string name = "value";
};

std::string listed(const std::vector<std::string_view>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 12; ++i) out += (i == 0 ? "" : ", ") + shown(names[i]);
  return out;
}

Result<std::size_t> picked(const std::string& column, const std::vector<std::string_view>& names, bool named) {
  const auto at = std::find(names.begin(), names.end(), std::string_view(column));
  if (named && at != names.end()) return static_cast<std::size_t>(at - names.begin());
  const auto place = number(column);
  if (place && *place >= 1 && *place <= static_cast<double>(names.size()) && *place == std::floor(*place))
    return static_cast<std::size_t>(*place) - 1;
  if (!named)
    return fail(ErrorCode::kInvalidArgument, "the file has no line of names: pick a column by its number from 1 to {}, not \"{}\"",
                names.size(), shown(column));
  return fail(ErrorCode::kInvalidArgument, "the file has no column \"{}\": it has {}", shown(column), listed(names));
}

Result<Columns> columns_of(const std::vector<std::string_view>& first, bool named, const SeriesOptions& options) {
  Columns out;
  out.count = first.size();
  if (first.size() > kMaxColumns) return fail(ErrorCode::kInvalidArgument, "more than {} columns", kMaxColumns);
  if (named) {
    const auto time = std::find_first_of(first.begin(), first.end(), kTimeNames.begin(), kTimeNames.end(),
                                         [](std::string_view name, const TimeName& known) { return name == known.name; });
    if (time == first.end())
      return fail(ErrorCode::kInvalidArgument, "no column is called t_s (seconds), t_ms or minute: the file has {}", listed(first));
    out.time = static_cast<std::size_t>(time - first.begin());
    out.unit_s = std::find_if(kTimeNames.begin(), kTimeNames.end(), [&](const TimeName& known) { return known.name == *time; })->unit_s;
    out.per_client = std::find(first.begin(), first.end(), "client") != first.end();
  }
  if (!options.column.empty()) {
    FLEXPERT_ASSIGN(out.value, picked(options.column, first, named));
    if (out.value == out.time)
      return fail(ErrorCode::kInvalidArgument, "column \"{}\" holds the times: pick another", shown(options.column));
  } else if (named && first.size() != 2) {
    const auto value = std::find_first_of(first.begin(), first.end(), kValueNames.begin(), kValueNames.end());
    const bool known = value != first.end() && *value != "value";
    if (first.size() < 2) return fail(ErrorCode::kInvalidArgument, "only one column ({}): a time and a value are needed", listed(first));
    if (!known)
      return fail(ErrorCode::kInvalidArgument, "{} columns where two are expected, t_s and value: pick one with --column: {}", first.size(),
                  listed(first));
    out.value = static_cast<std::size_t>(value - first.begin());
  } else if (first.size() != 2) {
    return fail(ErrorCode::kInvalidArgument, "{} columns where two are expected, t_s and value{}", first.size(),
                first.size() > 2 ? ": pick one with --column NUMBER" : "");
  } else {
    out.value = 1 - out.time;
  }
  out.name = named ? shown(first[out.value]) : options.column.empty() ? "value" : fmt::format("column {}", out.value + 1);
  return out;
}

Result<SeriesSample> sample_of(const std::vector<std::string_view>& fields, const Columns& columns, std::size_t line,
                               const SeriesOptions& options) {
  if (fields.size() != columns.count)
    return fail(ErrorCode::kInvalidArgument, "line {}: {} columns where the first line has {}", line, fields.size(), columns.count);
  const auto time = number(fields[columns.time]);
  if (!time) return fail(ErrorCode::kInvalidArgument, "line {}: the time is not a number: \"{}\"", line, shown(fields[columns.time]));
  const double t_s = *time * columns.unit_s;
  if (!(std::abs(t_s) <= kLargestTime))
    return fail(ErrorCode::kInvalidArgument, "line {}: the time is not a number of seconds within {}: \"{}\"", line, kLargestTime,
                shown(fields[columns.time]));
  const std::string_view text = fields[columns.value];
  if (is_gap(text)) return SeriesSample{t_s, std::numeric_limits<double>::quiet_NaN(), line};
  const auto value = number(text);
  if (!value || !(std::abs(*value) <= kLargestValue))
    return fail(ErrorCode::kInvalidArgument, "line {}: column {} is neither a finite number nor empty (a gap): \"{}\"", line, columns.name,
                shown(text));
  if (*value < 0 && !options.allow_negative)
    return fail(ErrorCode::kInvalidArgument, "line {}: column {} is negative, which a load cannot be (--allow-negative takes it): {}", line,
                columns.name, *value);
  return SeriesSample{t_s, *value, line};
}

}  // namespace

Result<SeriesTable> read_series_table(std::string_view text, const SeriesOptions& options) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  SeriesTable out;
  std::optional<Columns> columns;
  std::vector<std::string_view> fields;
  char separator = ',';
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#') continue;
    if (out.samples.size() == kMaxLines) return fail(ErrorCode::kInvalidArgument, "more than {} lines", kMaxLines);
    if (!columns) {
      for (const char c : {'\t', ';', ','})
        if (content.find(c) != std::string_view::npos) separator = c;
      split(line, separator, fields);
      const bool named = std::none_of(fields.begin(), fields.end(), [](std::string_view field) { return number(field).has_value(); });
      FLEXPERT_ASSIGN(columns.emplace(), columns_of(fields, named, options));
      out.per_client = columns->per_client;
      out.column = columns->name;
      if (named) continue;
    } else {
      split(line, separator, fields);
    }
    FLEXPERT_ASSIGN(out.samples.emplace_back(), sample_of(fields, *columns, line_number, options));
  }
  if (!columns) return fail(ErrorCode::kInvalidArgument, "the file is empty: lines of t_s,value are needed");
  if (out.samples.empty()) return fail(ErrorCode::kInvalidArgument, "no line of values after the names");
  return out;
}

}  // namespace flexpert::codec
