#pragma once

#include <memory>
#include <string>
#include <vector>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// The baselines that only comparisons know, beside predictor_names(): "kalman_fixed" (Q diag(1, 0.1), R 10 whatever the
/// scale), "arima_frozen" (its order chosen from the first 5 values) and "prophet_50" (fitted on the last 50 values).
const std::vector<std::string>& baseline_names();

/// Makes a predictor or a baseline by its name. Errors: as make_predictor().
Result<std::unique_ptr<Predictor>> make_contestant(const PredictorOptions& options);

}  // namespace flexpert::forecast
