#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Makes the default predictor "mixture": an online aggregation of cheap members (last value, exponential smoothing, damped
/// Holt, autoregression, yesterday's and last week's shape, and a regression on those), weighed for each horizon by how they
/// did, starting at the last value and leaving it only on evidence. Its quantiles are calibrated against its own past errors
/// (conformal.h). State stays below 32 KiB of text. See docs/forecast.md.
std::unique_ptr<Predictor> make_mixture_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
