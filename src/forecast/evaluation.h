#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// How predictors are compared on one series, rolling origin: the predictor sees the values up to an origin and predicts each
/// horizon; then the next value comes. Scored are all origins from `warm_up` values on whose target is in the series and known
/// (NaN is a gap: never scored); every predictor is scored on the same pairs of origin and target.
struct EvaluationOptions {
  std::vector<std::size_t> horizons;  ///< steps ahead, ascending, >= 1
  std::size_t warm_up = 0;            ///< values seen before the first origin
  double level = 0.9;                 ///< of the upper bound whose coverage is counted
  std::size_t origin_stride = 1;      ///< every so many values an origin
};

/// What a predictor was worth at one horizon.
struct HorizonScore {
  std::size_t horizon = 0;
  std::size_t scored = 0;     ///< targets
  double wape = 0;            ///< sum of |error| over the sum of |value|; 0 when all values are 0 and so are the errors
  double bias = 0;            ///< sum of errors (predicted - value) over the sum of |value|
  double coverage = 0;        ///< share of targets at or below the upper bound
  double bound_width = 0;     ///< sum of (bound - predicted mean) over the sum of |value|
};

struct EvaluationScore {
  std::string predictor;
  std::vector<HorizonScore> horizons;
};

/// Returns how many values are seen before the first origin: two days of them, at most a quarter of the series, at least 10.
std::size_t default_warm_up(std::size_t values, double step_s);

/// Plays the series through a predictor, which comes as new. `progress` is called now and then with the share done (0 to 1);
/// may be null. Precondition: horizons as described.
EvaluationScore evaluate(Predictor& predictor, std::span<const double> series, const EvaluationOptions& options,
                         const std::function<void(double)>& progress = nullptr);

}  // namespace flexpert::forecast
