#include "codec/series_csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "codec/gzip.h"
#include "codec/series_table.h"

namespace flexpert::codec {

namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;
constexpr double kOnGrid = 0.25;  // of a step
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Sorts by time; values of one time are summed over clients, or an error elsewhere.
Result<std::vector<SeriesSample>> by_time(SeriesTable table, std::vector<std::string>& notes) {
  std::vector<SeriesSample>& samples = table.samples;
  const auto earlier = [](const SeriesSample& a, const SeriesSample& b) { return a.t_s < b.t_s; };
  if (!std::is_sorted(samples.begin(), samples.end(), earlier)) {
    if (!table.per_client) notes.emplace_back("the lines were not in the order of time: sorted");
    std::stable_sort(samples.begin(), samples.end(), earlier);
  }
  std::vector<SeriesSample> out;
  for (const SeriesSample& sample : samples) {
    if (out.empty() || out.back().t_s != sample.t_s) {
      out.push_back(sample);
    } else if (!table.per_client) {
      return fail(ErrorCode::kInvalidArgument,
                  "lines {} and {} have the same time {}: one value for each time (or a column \"client\" to sum over)", out.back().line,
                  sample.line, sample.t_s);
    } else if (!std::isnan(sample.value)) {
      out.back().value = std::isnan(out.back().value) ? sample.value : out.back().value + sample.value;
    }
  }
  if (table.per_client && out.size() < samples.size())
    notes.push_back(fmt::format("{} lines of clients were summed over {} times", samples.size(), out.size()));
  return out;
}

/// The commonest distance between neighbours; the shortest of those equally common. Distances within a thousandth count as one.
double usual_step(const std::vector<SeriesSample>& samples) {
  std::vector<double> distances;
  for (std::size_t i = 1; i < samples.size(); ++i) distances.push_back(samples[i].t_s - samples[i - 1].t_s);
  std::sort(distances.begin(), distances.end());
  double best = 0;
  std::size_t most = 0;
  for (std::size_t first = 0; first < distances.size();) {
    std::size_t end = first;
    while (end < distances.size() && distances[end] <= distances[first] * 1.001) ++end;
    if (end - first > most) {
      most = end - first;
      best = distances[first + (end - first) / 2];
    }
    first = end;
  }
  // Where no distance is common, times are irregular: the middle one.
  if (most * 4 < distances.size()) best = distances[distances.size() / 2];
  return best;
}

bool on_grid(const std::vector<SeriesSample>& samples, double step_s) {
  double before = -1;
  for (const SeriesSample& sample : samples) {
    const double place = (sample.t_s - samples.front().t_s) / step_s;
    const double nearest = std::nearbyint(place);
    if (std::abs(place - nearest) > kOnGrid || nearest <= before) return false;
    before = nearest;
  }
  return true;
}

struct Window {
  double sum = 0;
  double count = 0;
  bool seen = false;
};

}  // namespace

Result<Series> parse_series_csv(std::string_view bytes, const SeriesOptions& options) {
  std::string unpacked;
  if (is_gzip(bytes)) {
    FLEXPERT_ASSIGN(unpacked, gunzip(bytes, kMaxTextBytes));
    bytes = unpacked;
  }
  if (bytes.size() > kMaxTextBytes) return fail(ErrorCode::kResourceExhausted, "the text is longer than 256 MiB");
  if (options.step_s && !(std::isfinite(*options.step_s) && *options.step_s > 0))
    return fail(ErrorCode::kInvalidArgument, "--step must be a positive number of seconds, not {}", *options.step_s);
  FLEXPERT_ASSIGN(SeriesTable table, read_series_table(bytes, options));
  Series out;
  out.column = table.column;
  const bool missing_is_zero = options.missing_is_zero.value_or(table.per_client);
  FLEXPERT_ASSIGN(const std::vector<SeriesSample> samples, by_time(std::move(table), out.notes));
  out.start_s = samples.front().t_s;
  if (samples.size() < 2 && !options.step_s)
    return fail(ErrorCode::kInvalidArgument, "only one time: the step between values is unknown; give it with --step SECONDS");
  const double own_step_s = samples.size() < 2 ? *options.step_s : usual_step(samples);
  out.step_s = options.step_s.value_or(own_step_s);
  if (out.step_s < own_step_s * (1 - kOnGrid) && samples.size() >= 2)
    return fail(ErrorCode::kInvalidArgument, "--step {} is shorter than the file's own step of {} s: values between are unknown",
                out.step_s, own_step_s);
  const double span = (samples.back().t_s - out.start_s) / out.step_s;
  if (!(span < static_cast<double>(kMaxSeriesValues)))
    return fail(ErrorCode::kInvalidArgument,
                "the times span more than {} steps of {} s, up to line {}: is one of them wrong? (--step takes a longer step)",
                kMaxSeriesValues, out.step_s, samples.back().line);
  const bool regular = on_grid(samples, out.step_s);
  std::vector<Window> windows(static_cast<std::size_t>(regular ? std::nearbyint(span) : std::floor(span)) + 1);
  for (const SeriesSample& sample : samples) {
    const double place = (sample.t_s - out.start_s) / out.step_s;
    Window& window = windows[static_cast<std::size_t>(regular ? std::nearbyint(place) : std::floor(place))];
    window.seen = true;
    if (std::isnan(sample.value)) continue;
    window.count += 1;
    window.sum += (sample.value - window.sum) / window.count;
  }
  if (!regular)
    out.notes.push_back(fmt::format("{} values were averaged over windows of {} s", samples.size(), out.step_s));
  std::size_t missing = 0;
  for (const Window& window : windows) {
    missing += window.seen ? 0 : 1;
    out.values.push_back(window.count > 0 ? window.sum : !window.seen && missing_is_zero ? 0.0 : kNan);
  }
  if (missing > 0) out.notes.push_back(fmt::format("{} windows without a line {}", missing, missing_is_zero ? "count as 0" : "are gaps"));
  const auto gaps = std::count_if(out.values.begin(), out.values.end(), [](double value) { return std::isnan(value); });
  if (gaps == static_cast<std::ptrdiff_t>(out.values.size()))
    return fail(ErrorCode::kInvalidArgument, "column {} holds no value", out.column);
  return out;
}

std::string write_series_csv(const Series& series) {
  const auto append = [](std::string& out, double value) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  };
  std::string out = "t_s,value\n";
  for (std::size_t i = 0; i < series.values.size(); ++i) {
    append(out, series.start_s + static_cast<double>(i) * series.step_s);
    out += ',';
    if (!std::isnan(series.values[i])) append(out, series.values[i]);
    out += '\n';
  }
  return out;
}

}  // namespace flexpert::codec
