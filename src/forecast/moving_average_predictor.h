#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// The mean of the last options.window values, 10 by default.
std::unique_ptr<Predictor> make_moving_average_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
