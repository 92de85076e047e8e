#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/state_text.h"

/// What load each expert will have, so that replicas come before it does.
namespace flexpert::scaling {

struct ExpertForecastOptions {
  double horizon_s = 300;   ///< ahead
  double high = 0.7;        ///< of the replicas' capacity: expected over it, more replicas come now
  double low = 0.3;         ///< expected and measured under it, replicas go
  double level_s = 30;      ///< time constant of the level
  double trend_s = 300;     ///< of the trend, and of its damping
};

/// Checks the options. low < high / 2 is demanded, as in validate(ExpertUtilisationOptions). Errors name the field.
Result<void> validate(const ExpertForecastOptions& options);

/// Level and damped trend of every expert's rows/s, updated with the length of each window, so that windows may differ.
/// Some additions an expert and window; a few bytes of state. Source: Gardner and McKenzie, Forecasting trends in time
/// series (1985), with continuous time constants.
class ExpertForecast {
 public:
  explicit ExpertForecast(ExpertForecastOptions options) : options_(options) {}

  /// Takes the rates of a closed window (those that ExpertUtilisationState smooths will do). Another number of experts starts afresh; rates
  /// that are negative or not finite and lengths that are not positive are ignored.
  void observe(std::span<const double> rows_per_s, double seconds);
  /// Returns the rows/s expected at the horizon; empty before five windows. Never negative, never over three times the
  /// level: a trend does not go on for ever.
  [[nodiscard]] std::vector<double> predict() const;
  [[nodiscard]] const ExpertForecastOptions& options() const { return options_; }
  void save(StateWriter& writer) const;
  /// Errors in the text: the reader says so and the forecast is as new.
  void restore(StateReader& reader);

 private:
  ExpertForecastOptions options_;
  std::vector<double> level_;
  std::vector<double> trend_;   ///< rows/s per second
  std::int64_t windows_ = 0;
};

/// What decide_replicas() takes of a forecast.
struct ExpertPrediction {
  std::vector<double> rows_per_s;   ///< at the horizon, for every slot; empty: nothing is known yet
  double horizon_s = 300;
  double high = 0.7;
  double low = 0.3;
};

/// Returns the newest prediction with the forecast's options.
ExpertPrediction prediction_of(const ExpertForecast& forecast);

}  // namespace flexpert::scaling
