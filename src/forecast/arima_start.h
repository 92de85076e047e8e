#pragma once

#include <span>

#include "forecast/arima_process.h"

namespace flexpert::forecast {

/// Where the search for a likelihood's maximum starts.
struct ArmaStart {
  ArmaProcess process;
  double noise = 0;  ///< variance of the shocks, at least 1e-10
};

/// Estimates an ARMA process of a series around 0 by regressions (Hannan and Rissanen 1982): shocks are taken from a long
/// autoregression, then the series is regressed on its own and the shocks' past. What is not stationary, or not invertible,
/// starts at 0. Finite values only.
ArmaStart regress_arma(std::span<const double> series, std::size_t p, std::size_t q);

}  // namespace flexpert::forecast
