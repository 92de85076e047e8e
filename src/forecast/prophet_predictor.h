#pragma once

#include <cstddef>
#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Makes the predictor "prophet": the curve is fitted anew at growing intervals, sooner when its errors drift, on a bounded
/// history (720 bins, over 15 days once seen), so that an ordinary step costs next to nothing.
std::unique_ptr<Predictor> make_prophet_predictor(const PredictorOptions& options);

/// Makes a baseline for comparisons: fits after each step on the last `window` values (>= 2) only (its name() is
/// "prophet_windowed").
std::unique_ptr<Predictor> make_windowed_prophet_predictor(const PredictorOptions& options, std::size_t window);

}  // namespace flexpert::forecast
