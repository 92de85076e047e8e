#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Simple exponential smoothing, its factor learned from the series.
std::unique_ptr<Predictor> make_exponential_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
