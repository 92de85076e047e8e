#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// The mean of the last 10 values.
std::unique_ptr<Predictor> make_moving_average_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
