#include "forecast/kpss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace flexpert::forecast {
namespace {

constexpr double kCriticalAt5Percent = 0.463;

double table_p_value(double statistic) {
  constexpr std::array<double, 4> kCritical = {0.347, kCriticalAt5Percent, 0.574, 0.739};
  constexpr std::array<double, 4> kLevels = {0.10, 0.05, 0.025, 0.01};
  if (statistic <= kCritical.front()) return kLevels.front();
  for (std::size_t i = 1; i < kCritical.size(); ++i) {
    if (statistic > kCritical[i]) continue;
    const double part = (statistic - kCritical[i - 1]) / (kCritical[i] - kCritical[i - 1]);
    return kLevels[i - 1] + part * (kLevels[i] - kLevels[i - 1]);
  }
  return kLevels.back();
}

bool is_constant(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
}

}  // namespace

KpssTest kpss_level_test(std::span<const double> series, std::size_t lags) {
  const std::size_t n = series.size();
  const double mean = std::accumulate(series.begin(), series.end(), 0.0) / static_cast<double>(n);
  std::vector<double> residual(series.begin(), series.end());
  for (double& value : residual) value -= mean;
  double walked = 0;
  double squares_walked = 0;
  for (const double value : residual) {
    walked += value;
    squares_walked += walked * walked;
  }
  double variance = std::inner_product(residual.begin(), residual.end(), residual.begin(), 0.0);
  for (std::size_t lag = 1; lag <= std::min(lags, n - 1); ++lag) {
    double product = 0;
    for (std::size_t i = lag; i < n; ++i) product += residual[i] * residual[i - lag];
    variance += 2 * (1 - static_cast<double>(lag) / static_cast<double>(lags + 1)) * product;
  }
  const double statistic = squares_walked / (static_cast<double>(n) * variance);
  if (!std::isfinite(statistic)) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {.statistic = kNone, .p_value = kNone};
  }
  return {.statistic = statistic, .p_value = table_p_value(statistic)};
}

std::size_t kpss_legacy_lags(std::size_t n) {
  const auto lags = static_cast<std::size_t>(std::ceil(12 * std::pow(static_cast<double>(n) / 100, 0.25)));
  return std::min(lags, n > 0 ? n - 1 : 0);
}

std::size_t differences_by_kpss(std::span<const double> series, std::size_t max_differences) {
  std::vector<double> values;
  values.reserve(series.size());
  std::copy_if(series.begin(), series.end(), std::back_inserter(values), [](double value) { return std::isfinite(value); });
  for (std::size_t d = 0; d < max_differences; ++d) {
    if (values.size() < 3 || is_constant(values)) return d;
    const auto lags = static_cast<std::size_t>(3 * std::sqrt(static_cast<double>(values.size())) / 13);
    const KpssTest test = kpss_level_test(values, lags);
    if (!(test.statistic > kCriticalAt5Percent)) return d;
    for (std::size_t i = 0; i + 1 < values.size(); ++i) values[i] = values[i + 1] - values[i];
    values.pop_back();
  }
  return max_differences;
}

}  // namespace flexpert::forecast
