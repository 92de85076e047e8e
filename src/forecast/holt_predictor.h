#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Makes the predictor "holt": level and damped trend, weights fitted by least squares to the last 200 values anew each time
/// a tenth more has been seen.
std::unique_ptr<Predictor> make_holt_predictor(const PredictorOptions& options);

/// Makes the predictor "holt_winters": level, damped trend and the shape of a day (additive; multiplicative while all values
/// are above 0 and it explained the past better). Like "holt" until two days were seen. Days of more than 288 steps are
/// smoothed in 288 parts.
std::unique_ptr<Predictor> make_holt_winters_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
