#pragma once

#include <span>

#include "base/result.h"
#include "forecast/arima_filter.h"
#include "forecast/arima_process.h"

namespace flexpert::forecast {

/// A model of a given order with its coefficients estimated.
struct ArimaFit {
  ArimaOrder order;
  ArimaCoefficients coefficients;
  double noise = 0;           ///< variance of the shocks
  double log_likelihood = 0;  ///< of the values after the first d; infinite for a series that the model explains fully
  double aicc = 0;            ///< corrected for small samples (Hurvich and Tsai 1989)
  std::size_t evaluations = 0;  ///< of likelihoods, for this and the orders it was compared with; not counted by fit_arima()
};

/// Estimates all coefficients and the noise together by the highest Gaussian likelihood of the series itself (statsmodels'
/// ARIMA): exact for the stationary part, levels of unknown start (variance 1e6) for the differences, the first d values
/// not counted, only stationary and invertible coefficients tried, started at regress_arma() and climbed by L-BFGS for at
/// most 50 iterations. `order.constant` is a mean with d = 0 and a drift with d = 1. NaN values are gaps.
/// Errors: kInvalidArgument: p or q above 5, d above 2, a constant with d = 2, fewer than d + 2 values.
Result<ArimaFit> fit_arima(std::span<const double> series, const ArimaOrder& order);

/// Runs the fitted model over the series, so that its forecasts continue it.
ArimaFilter filter_series(const ArimaFit& fit, std::span<const double> series);

}  // namespace flexpert::forecast
