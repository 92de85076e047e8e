#include "forecast/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flexpert::forecast {

std::size_t default_warm_up(std::size_t values, double step_s) {
  const double two_days = std::clamp(std::ceil(2 * 86400 / step_s), 10.0, 1e9);
  return std::max<std::size_t>(10, std::min(static_cast<std::size_t>(two_days), values / 4));
}

EvaluationScore evaluate(Predictor& predictor, std::span<const double> series, const EvaluationOptions& options,
                         const std::function<void(double)>& progress) {
  EvaluationScore out{std::string(predictor.name()), {}};
  struct Sums {
    double value = 0;
    double absolute = 0;
    double error = 0;
    double width = 0;
    std::size_t covered = 0;
  };
  std::vector<Sums> sums(options.horizons.size());
  for (const std::size_t horizon : options.horizons) out.horizons.push_back({.horizon = horizon});
  const std::array<double, 1> levels = {options.level};
  const std::size_t stride = std::max<std::size_t>(1, options.origin_stride);
  for (std::size_t seen = 1; seen <= series.size(); ++seen) {
    predictor.observe(series[seen - 1]);
    if (progress && seen % 16 == 0) progress(static_cast<double>(seen) / static_cast<double>(series.size()));
    if (seen < std::max<std::size_t>(1, options.warm_up) || (seen - options.warm_up) % stride != 0 || seen == series.size()) continue;
    const std::vector<Prediction> predictions = predictor.predict(options.horizons, levels);
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      const std::size_t target = seen - 1 + options.horizons[i];
      if (target >= series.size() || !std::isfinite(series[target])) continue;
      const double value = series[target];
      ++out.horizons[i].scored;
      sums[i].value += std::abs(value);
      sums[i].absolute += std::abs(predictions[i].mean - value);
      sums[i].error += predictions[i].mean - value;
      sums[i].width += predictions[i].quantiles[0] - predictions[i].mean;
      sums[i].covered += value <= predictions[i].quantiles[0] ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    HorizonScore& score = out.horizons[i];
    const auto over = [&](double sum) { return sum == 0 ? 0.0 : sum / sums[i].value; };
    score.wape = over(sums[i].absolute);
    score.bias = over(sums[i].error);
    score.bound_width = over(sums[i].width);
    score.coverage = score.scored == 0 ? 0 : static_cast<double>(sums[i].covered) / static_cast<double>(score.scored);
  }
  return out;
}

}  // namespace flexpert::forecast
