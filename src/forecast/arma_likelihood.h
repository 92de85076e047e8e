#pragma once

#include <span>

#include "forecast/arima_process.h"

namespace flexpert::forecast {

/// What a likelihood with the noise taken out of it needs: the noise that fits best is squares / count.
struct ArmaErrors {
  double squares = 0;         ///< of one-step errors, each divided by its variance in units of the noise
  double log_variances = 0;   ///< sum of the logarithms of those variances
  std::size_t count = 0;
};

/// Runs the exact filter of a stationary process over `series` less `mean`; variances that have settled are not computed
/// again. `squares` is infinite for a process that is not stationary.
ArmaErrors exact_errors(const ArmaProcess& process, std::span<const double> series, double mean);

/// Takes the first p values as given and the shocks before them as 0 (the conditional sum of squares): no logarithms.
ArmaErrors conditional_errors(const ArmaProcess& process, std::span<const double> series, double mean);

}  // namespace flexpert::forecast
