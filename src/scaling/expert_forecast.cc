#include "scaling/expert_forecast.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kFirstWindows = 5;
constexpr double kMostGrowth = 3;

}  // namespace

Result<void> validate(const ExpertForecastOptions& options) {
  const auto positive = [](const char* field, double value) -> Result<void> {
    if (value > 0 && value <= 86400) return {};
    return fail(ErrorCode::kInvalidArgument, "expert forecast: {} must be over 0 and at most 86400 seconds, not {}", field, value);
  };
  FLEXPERT_TRY(positive("horizon_s", options.horizon_s));
  FLEXPERT_TRY(positive("level_s", options.level_s));
  FLEXPERT_TRY(positive("trend_s", options.trend_s));
  if (!(options.high > 0) || !(options.high <= 1))
    return fail(ErrorCode::kInvalidArgument, "expert forecast: high must be over 0 and at most 1, not {}", options.high);
  if (!(options.low >= 0) || !(options.low < options.high / 2))
    return fail(ErrorCode::kInvalidArgument,
                "expert forecast: low must be at least 0 and under half of high, or a halving would trigger a growth: low {}, high {}",
                options.low, options.high);
  return {};
}

void ExpertForecast::observe(std::span<const double> rows_per_s, double seconds) {
  if (!(seconds > 0) || !std::isfinite(seconds)) return;
  const auto usable = [](double rate) { return std::isfinite(rate) && rate >= 0; };
  if (level_.size() != rows_per_s.size()) {
    level_.assign(rows_per_s.size(), 0);
    trend_.assign(rows_per_s.size(), 0);
    for (std::size_t i = 0; i < rows_per_s.size(); ++i) level_[i] = usable(rows_per_s[i]) ? rows_per_s[i] : 0;
    windows_ = 1;
    return;
  }
  const double to_level = 1 - std::exp(-seconds / options_.level_s);
  const double to_trend = 1 - std::exp(-seconds / options_.trend_s);
  for (std::size_t i = 0; i < rows_per_s.size(); ++i) {
    if (!usable(rows_per_s[i])) continue;
    const double step = to_level * (rows_per_s[i] - level_[i]);
    level_[i] += step;
    trend_[i] += to_trend * (step / seconds - trend_[i]);
  }
  windows_ = std::min(windows_ + 1, kFirstWindows);
}

std::vector<double> ExpertForecast::predict() const {
  if (windows_ < kFirstWindows) return {};
  const double reach_s = options_.trend_s * (1 - std::exp(-options_.horizon_s / options_.trend_s));
  std::vector<double> expected(level_.size());
  for (std::size_t i = 0; i < level_.size(); ++i) expected[i] = std::clamp(level_[i] + reach_s * trend_[i], 0.0, kMostGrowth * level_[i]);
  return expected;
}

void ExpertForecast::save(StateWriter& writer) const {
  writer.tag("expert_forecast/1");
  writer.integer(windows_);
  writer.numbers(level_);
  writer.numbers(trend_);
}

void ExpertForecast::restore(StateReader& reader) {
  reader.tag("expert_forecast/1");
  windows_ = reader.integer();
  level_ = reader.numbers();
  trend_ = reader.numbers();
  const bool finite = std::ranges::all_of(level_, [](double v) { return std::isfinite(v) && v >= 0; }) &&
                      std::ranges::all_of(trend_, [](double v) { return std::isfinite(v); });
  if (windows_ < 0 || windows_ > kFirstWindows || level_.size() != trend_.size() || !finite)
    reader.reject("levels and trends of as many experts");
  if (reader.ok()) return;
  windows_ = 0;
  level_.clear();
  trend_.clear();
}

ExpertPrediction prediction_of(const ExpertForecast& forecast) {
  const ExpertForecastOptions& options = forecast.options();
  return {forecast.predict(), options.horizon_s, options.high, options.low};
}

}  // namespace flexpert::scaling
