#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// The value of the same time of the day before.
std::unique_ptr<Predictor> make_seasonal_naive_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
