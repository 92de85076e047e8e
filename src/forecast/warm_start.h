#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// How a recorded series becomes a predictor's past.
struct WarmStart {
  double series_step_s = 60;     ///< between the recorded values
  double predictor_step_s = 60;  ///< that the predictor was made for
  double scale = 1;              ///< the predictor's unit over the series': 60 for requests a minute from a rate a second
  double pause_s = 0;            ///< passes between the last recorded value and the first live one, as gaps; only its part of a
                                 ///< day counts, so that yesterday's shape keeps its hours
};

/// Returns the values at another step: means over whole new steps where that is longer, else straight lines between the old
/// ones. NaN stays a gap. At most 1,048,576 values, the newest.
std::vector<double> resampled(std::span<const double> series, double from_step_s, double to_step_s);

/// Feeds a recorded series to a predictor as if it had been observed before now. Errors: kInvalidArgument for steps that are
/// not positive, a scale that is not positive, or a negative pause.
Result<void> warm_start(Predictor& predictor, std::span<const double> series, const WarmStart& how);
/// The same for a series of the predictor's own step and unit.
void warm_start(Predictor& predictor, std::span<const double> series);

/// Writes a predictor with the options that it was made with, as one text.
std::string write_predictor(const Predictor& predictor, const PredictorOptions& options);

/// A predictor as it was written.
struct StoredPredictor {
  PredictorOptions options;
  std::unique_ptr<Predictor> predictor;
};
/// Reads what write_predictor() wrote. Errors: kDataLoss naming what was expected; kInvalidArgument for an unknown predictor.
Result<StoredPredictor> read_predictor(std::string_view text);

}  // namespace flexpert::forecast
