#pragma once

#include <span>

#include "forecast/arima_process.h"

namespace flexpert::forecast {

/// A stationary process around a mean.
struct ArmaModel {
  ArmaProcess process;
  double mean = 0;
};

/// What a likelihood with the noise taken out of it needs: the noise that fits best is squares / count.
struct ArmaErrors {
  double squares = 0;         ///< of one-step errors, each divided by its variance in units of the noise
  double log_variances = 0;   ///< sum of the logarithms of those variances
  std::size_t count = 0;
};

/// Runs the exact filter of each model over the series; variances that have settled are not computed again. All models have
/// the same p and q: four at a time cost little more than one. `squares` is infinite for a process that is not stationary.
void exact_errors(std::span<const ArmaModel> models, std::span<const double> series, std::span<ArmaErrors> out);

/// Takes the first p values as given and the shocks before them as 0 (the conditional sum of squares): no logarithms.
void conditional_errors(std::span<const ArmaModel> models, std::span<const double> series, std::span<ArmaErrors> out);

}  // namespace flexpert::forecast
