#include "forecast/holt_winters.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {

double advance(const SmoothingShape& shape, const SmoothingParameters& parameters, double value, SmoothingState& state) {
  const double alpha = parameters.level_weight;
  const double base = shape.trend ? state.level + parameters.damping * state.trend : state.level;
  const double seasonal = shape.season == Season::kNone ? 0 : state.season.front();
  double expected = base;
  if (shape.season == Season::kAdditive) expected = base + seasonal;
  if (shape.season == Season::kMultiplicative) expected = base * seasonal;
  if (std::isnan(value)) value = expected;
  double level = alpha * value + (1 - alpha) * base;
  if (shape.season == Season::kAdditive) level = alpha * value - alpha * seasonal + (1 - alpha) * base;
  if (shape.season == Season::kMultiplicative) level = alpha * value / seasonal + (1 - alpha) * base;
  if (shape.trend) {
    const double beta = parameters.trend_weight;
    state.trend = beta * (level - state.level) + (1 - beta) * parameters.damping * state.trend;
  }
  state.level = level;
  if (shape.season != Season::kNone) {
    const double gamma = parameters.season_weight;
    const double next = shape.season == Season::kAdditive ? gamma * value - gamma * base + (1 - gamma) * seasonal
                                                          : gamma * value / base + (1 - gamma) * seasonal;
    std::rotate(state.season.begin(), state.season.begin() + 1, state.season.end());
    state.season.back() = next;
  }
  return expected;
}

double smoothed_forecast(const SmoothingShape& shape, double damping, const SmoothingState& state, std::size_t horizon) {
  double base = state.level;
  const auto steps = static_cast<double>(horizon);
  if (shape.trend && shape.damped && damping < 1) base += state.trend * damping * (1 - std::pow(damping, steps)) / (1 - damping);
  if (shape.trend && !(shape.damped && damping < 1)) base += state.trend * steps;
  if (shape.season == Season::kNone) return base;
  const double seasonal = state.season[(horizon - 1) % state.season.size()];
  return shape.season == Season::kAdditive ? base + seasonal : base * seasonal;
}

namespace {

struct Line {
  double start = 0;  ///< one step before the first value
  double slope = 0;
};

Line line_through(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / n;
  double above = 0;
  double below = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double offset = static_cast<double>(i + 1) - (n + 1) / 2;
    above += offset * (values[i] - mean);
    below += offset * offset;
  }
  const double slope = above / below;
  return {mean - slope * (n + 1) / 2, slope};
}

/// The mean over a period around each value, for the values that have half a period on either side.
std::vector<double> centred_means(std::span<const double> values, std::size_t period) {
  const std::size_t half = period / 2;
  std::vector<double> out;
  for (std::size_t i = half; i + half < values.size(); ++i) {
    double sum = 0;
    for (std::size_t j = i - half; j <= i + half; ++j) sum += (period % 2 == 0 && (j == i - half || j == i + half) ? 0.5 : 1.0) * values[j];
    out.push_back(sum / static_cast<double>(period));
  }
  return out;
}

}  // namespace

SmoothingParameters initial_smoothing(const SmoothingShape& shape, std::span<const double> values) {
  SmoothingParameters out;
  std::vector<double> base(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(values.size(), 10)));
  if (shape.season != Season::kNone) {
    const std::size_t period = shape.period;
    const std::size_t least = 10 + 2 * (period / 2);
    const std::size_t cycles = std::max(std::min<std::size_t>(5, values.size() / period), (least + period - 1) / period);
    const std::span<const double> used = values.first(std::min(values.size(), cycles * period));
    base = centred_means(used, period);
    out.season.assign(period, 0);
    std::vector<double> counts(period, 0);
    for (std::size_t i = 0; i < base.size(); ++i) {
      const std::size_t at = i + period / 2;
      out.season[at % period] += shape.season == Season::kAdditive ? used[at] - base[i] : used[at] / base[i];
      ++counts[at % period];
    }
    double mean = 0;
    for (std::size_t i = 0; i < period; ++i) {
      out.season[i] /= counts[i];
      mean += out.season[i] / static_cast<double>(period);
    }
    for (double& season : out.season) season = shape.season == Season::kAdditive ? season - mean : season / mean;
    base.resize(10);
  }
  if (base.size() < 10) {
    out.level = base[0];
    out.trend = shape.trend && base.size() > 1 ? base[1] - base[0] : 0;
    return out;
  }
  const Line line = line_through(base);
  out.level = line.start;
  out.trend = shape.trend ? line.slope : 0;
  return out;
}

SmoothingFit run_smoothing(const SmoothingShape& shape, const SmoothingParameters& parameters, std::span<const double> values) {
  SmoothingFit out{shape, parameters, 0, {parameters.level, parameters.trend, parameters.season}};
  for (const double value : values) {
    const double expected = advance(shape, parameters, value, out.state);
    if (!std::isnan(value)) out.sse += (value - expected) * (value - expected);
  }
  return out;
}

}  // namespace flexpert::forecast
