#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Makes the predictor "arima": the order is chosen from the history, and chosen anew when the errors drift away from what
/// the model expects and at growing intervals. Gaps are bridged by the Kalman filter.
std::unique_ptr<Predictor> make_arima_predictor(const PredictorOptions& options);

/// Makes the predictor "arima_frozen", a baseline for comparisons: the order is chosen once, from the first 5 values, and
/// only the coefficients are estimated anew.
std::unique_ptr<Predictor> make_frozen_arima_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
