#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "flexpert/files.h"
#include "flexpert/forecast_options.h"
#include "report/forecast_chart.h"

namespace flexpert::app {

namespace {

constexpr double kMostSteps = 100000;
constexpr std::size_t kMostHorizons = 64;
constexpr std::size_t kLargestInput = std::size_t{64} << 20;

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> out;
  std::size_t from = 0;
  for (;;) {
    const std::size_t end = text.find(',', from);
    out.push_back(text.substr(from, end == std::string::npos ? end : end - from));
    if (end == std::string::npos) return out;
    from = end + 1;
  }
}

std::optional<double> unit_s(std::string_view unit) {
  if (unit == "s") return 1;
  if (unit == "m" || unit == "min") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  return std::nullopt;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return read_text_file(path);
  std::string text;
  char buffer[65536];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    text.append(buffer, got);
    if (text.size() > kLargestInput) return fail(ErrorCode::kInvalidArgument, "stdin is longer than 64 MiB");
  }
  return text;
}

}  // namespace

std::string parse_horizons(const std::string& text, std::vector<ForecastHorizon>& horizons) {
  horizons.clear();
  for (const std::string& part : parts_of(text)) {
    double amount = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), amount);
    const std::string_view unit(end, static_cast<std::size_t>(part.data() + part.size() - end));
    const auto seconds = unit_s(unit);
    const bool steps = unit.empty() && amount == std::floor(amount) && amount <= kMostSteps;
    if (error != std::errc() || !(amount > 0) || !std::isfinite(amount) || (!steps && !seconds))
      return "needs horizons such as 10m,30m,1h (s, m, h, d) or whole numbers of steps such as 1,3,6, not \"" + part + "\"";
    horizons.push_back(steps ? ForecastHorizon{amount, false} : ForecastHorizon{amount * *seconds, true});
  }
  return horizons.size() <= kMostHorizons ? "" : fmt::format("takes at most {} horizons", kMostHorizons);
}

std::string parse_levels(const std::string& text, std::vector<double>& levels) {
  levels.clear();
  for (const std::string& part : parts_of(text)) {
    const bool percent = part.starts_with('p');
    double level = 0;
    const char* const begin = part.data() + (percent ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, part.data() + part.size(), level);
    if (percent) level /= 100;
    if (error != std::errc() || end != part.data() + part.size() || !(level > 0 && level < 1))
      return "needs levels between 0 and 1 such as 0.1,0.5,0.9 or p10,p50,p90, not \"" + part + "\"";
    levels.push_back(level);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels.size() <= kMostHorizons ? "" : fmt::format("takes at most {} levels", kMostHorizons);
}

Result<std::vector<std::size_t>> horizon_steps(const std::vector<ForecastHorizon>& horizons, double step_s) {
  std::vector<std::size_t> out;
  for (const ForecastHorizon& horizon : horizons) {
    const double steps = std::max(1.0, horizon.is_time ? std::nearbyint(horizon.amount / step_s) : horizon.amount);
    if (!(steps <= kMostSteps))
      return fail(ErrorCode::kInvalidArgument, "--horizon: {} s are {} steps of {} s; at most {} are looked ahead", horizon.amount, steps,
                  step_s, kMostSteps);
    out.push_back(static_cast<std::size_t>(steps));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<codec::Series> read_series(const std::string& path, const ForecastOptions& options) {
  const std::string name = path == "-" ? "stdin" : path;
  FLEXPERT_ASSIGN(const std::string bytes, read_input(path));
  codec::SeriesOptions how{
      .column = options.column, .step_s = options.step_s, .missing_is_zero = {}, .allow_negative = options.allow_negative};
  if (options.missing != "auto") how.missing_is_zero = options.missing == "zero";
  auto series = codec::parse_series_csv(bytes, how);
  if (!series) return fail(series.error().with_context(name));
  return series;
}

std::string series_text(const std::string& path, const codec::Series& series) {
  std::string out =
      fmt::format("{}: {} values of {}, every {}, {} in all", path == "-" ? "stdin" : path, series.values.size(), series.column,
                  report::span_text(series.step_s), report::span_text(series.step_s * static_cast<double>(series.values.size())));
  for (const std::string& note : series.notes) out += "; " + note;
  return out;
}

}  // namespace flexpert::app
