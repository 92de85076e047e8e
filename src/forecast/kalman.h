#pragma once

#include <cstddef>
#include <memory>

#include "base/state_text.h"
#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Variances of a local linear trend: how much level and trend wander in a step, and how noisy a value is.
struct TrendNoise {
  double level = 1;
  double trend = 0.1;
  double value = 10;
};

/// A Kalman filter over level and trend (Harvey, "Forecasting, structural time series models and the Kalman filter", 1989).
/// The first value is taken as the level, with variance 1000 for both states.
class TrendFilter {
 public:
  explicit TrendFilter(const TrendNoise& noise) : noise_(noise) {}

  /// Takes the next value; NaN is a gap: level and trend move on and grow less certain.
  void observe(double value);
  [[nodiscard]] bool started() const { return started_; }
  /// Returns what is expected so many steps ahead; the trend shrinks by `damping` a step.
  [[nodiscard]] double forecast(std::size_t horizon, double damping = 1) const;
  /// Returns the variance of the next value.
  [[nodiscard]] double next_variance() const;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  TrendNoise noise_;
  bool started_ = false;
  double level_ = 0;
  double trend_ = 0;
  double level_variance_ = 0;
  double covariance_ = 0;
  double trend_variance_ = 0;
};

/// Makes the predictor "kalman": filters with several noise ratios side by side, in units of the value's own noise, so that
/// the scale of the series does not matter; the one that has explained recent values best answers.
std::unique_ptr<Predictor> make_kalman_predictor(const PredictorOptions& options);

/// Makes a baseline for comparisons: one filter with the noise given, whatever the scale (its name() is "kalman_fixed").
std::unique_ptr<Predictor> make_fixed_kalman_predictor(const PredictorOptions& options, const TrendNoise& noise = {});

}  // namespace flexpert::forecast
