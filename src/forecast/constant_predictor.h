#pragma once

#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// The last value.
std::unique_ptr<Predictor> make_constant_predictor(const PredictorOptions& options);

}  // namespace flexpert::forecast
