#pragma once

#include <cstddef>
#include <span>

#include "forecast/arima.h"

namespace flexpert::forecast {

/// Chooses the order of a non-seasonal ARIMA and estimates it, in the manner of R's forecast::auto.arima (Hyndman and
/// Khandakar 2008): differences by KPSS, then steps among neighbouring orders (p, q <= 5, mean or drift on and off) for the
/// lowest AICc, left out those with a root within 1 % of the unit circle or a coefficient without a variance. Above
/// `conditional_above` values candidates are compared by the conditional sum of squares and the best is estimated exactly,
/// which is several times quicker. A choice that has cost 3,000 likelihoods goes on in haste (rougher starts, losers given up),
/// and ends at 7,000: few series need so many, and where they do several orders are nearly as good. NaN values are gaps;
/// infinite ones count as gaps. Never fails: a constant series is its mean, a straight line its slope (noise 0), fewer than
/// 4 values are carried forward.
ArimaFit auto_arima(std::span<const double> series, std::size_t conditional_above = 150);

/// Chooses the order only; the work is that of auto_arima().
ArimaOrder select_order(std::span<const double> series);

/// Estimates the coefficients of a known order by the exact likelihood; where that is not possible, those of a random walk.
ArimaFit estimate_arima(std::span<const double> series, const ArimaOrder& order);

}  // namespace flexpert::forecast
