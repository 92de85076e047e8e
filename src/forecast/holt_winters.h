#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"

namespace flexpert::forecast {

enum class Season { kNone, kAdditive, kMultiplicative };

/// Which parts an exponential smoothing model has: simple (none), Holt (trend), damped Holt, Holt-Winters (season).
struct SmoothingShape {
  bool trend = false;
  bool damped = false;  ///< needs a trend
  Season season = Season::kNone;
  std::size_t period = 0;  ///< steps of a season, >= 2 where there is one
};

/// Weights and where the recursion starts.
struct SmoothingParameters {
  double level_weight = 0;   ///< alpha, in (0, 1)
  double trend_weight = 0;   ///< beta, at most alpha
  double season_weight = 0;  ///< gamma, at most 1 - alpha
  double damping = 1;        ///< phi, 0.8 to 0.995 where the trend is damped
  double level = 0;
  double trend = 0;
  std::vector<double> season;  ///< one for each step of the period, the first value's first
};

/// Where the recursion stands after the last value.
struct SmoothingState {
  double level = 0;
  double trend = 0;
  std::vector<double> season;  ///< the next step's first
};

/// Advances the state by one value (Hyndman and Athanasopoulos, "Forecasting", 2014, chapter 7); NaN is a gap: what was
/// expected is taken for it.
/// Returns what was expected.
double advance(const SmoothingShape& shape, const SmoothingParameters& parameters, double value, SmoothingState& state);

/// Returns what the state expects so many steps ahead (>= 1).
double smoothed_forecast(const SmoothingShape& shape, double damping, const SmoothingState& state, std::size_t horizon);

struct SmoothingFit {
  SmoothingShape shape;
  SmoothingParameters parameters;
  double sse = 0;  ///< sum of the squared one-step errors
  SmoothingState state;

  [[nodiscard]] double forecast(std::size_t horizon) const { return smoothed_forecast(shape, parameters.damping, state, horizon); }
};

/// Returns where statsmodels' "estimated" initialisation starts: a line through the first ten values, after a moving average
/// over a period where there is a season (Hyndman et al., "Forecasting with Exponential Smoothing", 2008, 2.6).
/// The series must hold 10 + 2 * (period / 2) values, and two periods; shorter ones without season start from the first two.
SmoothingParameters initial_smoothing(const SmoothingShape& shape, std::span<const double> values);

/// Fits weights, damping and start by least squares as statsmodels 0.13.5 does: a grid over the weights, then sequential
/// quadratic programming. NaN is a gap.
/// Errors: kInvalidArgument for fewer than 3 values, fewer than two periods, the first ten missing a value, or a value <= 0
/// under a multiplicative season.
Result<SmoothingFit> fit_smoothing(const SmoothingShape& shape, std::span<const double> values);

/// Runs the recursion over the values.
SmoothingFit run_smoothing(const SmoothingShape& shape, const SmoothingParameters& parameters, std::span<const double> values);

}  // namespace flexpert::forecast
