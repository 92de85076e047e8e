#include "forecast/holt_predictor.h"

#include <cmath>

#include "forecast/holt_winters.h"
#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

struct HoltModel {
  static constexpr std::string_view kName = "holt";
  static constexpr std::size_t kWindow = 200;
  static constexpr std::size_t kLeast = 10;  // fewer values than that are smoothed with ordinary weights
  static constexpr SmoothingShape kShape{true, true, Season::kNone, 0};

  std::vector<double> values;  // the last ones; gaps hold what was expected of them
  SmoothingParameters parameters{0.5, 0.05, 0, 0.9, 0, 0, {}};
  SmoothingState state;
  std::size_t since_fit = 0;

  /// Fits on values scaled to 1, so that neither the accuracy of the descent nor its squares depend on their scale.
  void refit() {
    since_fit = 0;
    double scale = 0;
    for (const double value : values) scale = std::max(scale, std::abs(value));
    if (scale == 0 || !std::isfinite(1 / scale)) return;
    std::vector<double> scaled = values;
    for (double& value : scaled) value /= scale;
    const auto fit = fit_smoothing(kShape, scaled);
    if (!fit || !std::isfinite(fit->sse)) return;
    parameters = fit->parameters;
    state.level = fit->state.level * scale;
    state.trend = fit->state.trend * scale;
  }

  void pass(double value) {
    if (!started()) {
      state.level = value;
    } else {
      const double expected = advance(kShape, parameters, value, state);
      if (std::isnan(value)) value = expected;
    }
    if (!std::isfinite(state.level) || !std::isfinite(state.trend) || !std::isfinite(value)) {
      state.level = std::isfinite(value) ? value : values.empty() ? 0 : values.back();
      state.trend = 0;
      value = state.level;
    }
    if (values.size() == kWindow) values.erase(values.begin());
    values.push_back(value);
    if (++since_fit * 10 >= values.size() && values.size() >= kLeast) refit();
  }
  void observe(double value) { pass(value); }
  void skip() {
    if (started()) pass(std::nan(""));
  }
  [[nodiscard]] bool started() const { return !values.empty(); }
  [[nodiscard]] double forecast(std::size_t horizon) const { return smoothed_forecast(kShape, parameters.damping, state, horizon); }
  void save(StateWriter& writer) const {
    writer.numbers(values);
    for (const double weight : {parameters.level_weight, parameters.trend_weight, parameters.damping}) writer.number(weight);
    for (const double number : {state.level, state.trend}) writer.number(number);
    writer.integer(static_cast<std::int64_t>(since_fit));
  }
  void restore(StateReader& reader) {
    values = reader.numbers();
    for (double* number : {&parameters.level_weight, &parameters.trend_weight, &parameters.damping, &state.level, &state.trend}) {
      *number = reader.number();
      if (!std::isfinite(*number)) reader.reject("finite weights and state");
    }
    const std::int64_t since = reader.integer();
    if (values.size() > kWindow || since < 0) return reader.reject("at most 200 values");
    since_fit = static_cast<std::size_t>(since);
  }
};

}  // namespace

std::unique_ptr<Predictor> make_holt_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<HoltModel>>(HoltModel{}, options.non_negative);
}

}  // namespace flexpert::forecast
