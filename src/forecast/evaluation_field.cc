#include "forecast/evaluation_field.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "forecast/arima_predictor.h"
#include "forecast/kalman.h"
#include "forecast/prophet_predictor.h"

namespace flexpert::forecast {

namespace {
constexpr std::size_t kProphetWindow = 50;
}

const std::vector<std::string>& baseline_names() {
  static const std::vector<std::string> names = {"kalman_fixed", "arima_frozen", "prophet_50"};
  return names;
}

Result<std::unique_ptr<Predictor>> make_contestant(const PredictorOptions& options) {
  const auto& baselines = baseline_names();
  const auto& names = predictor_names();
  if (std::find(baselines.begin(), baselines.end(), options.name) == baselines.end()) {
    if (std::find(names.begin(), names.end(), options.name) == names.end())
      return fail(ErrorCode::kInvalidArgument, "unknown predictor \"{}\"; use one of {}, {}", options.name, fmt::join(names, ", "),
                  fmt::join(baselines, ", "));
    return make_predictor(options);
  }
  PredictorOptions plain = options;
  plain.name = "constant";  // its check of the step
  if (auto checked = make_predictor(plain); !checked) return checked;
  if (options.name == "kalman_fixed") return make_fixed_kalman_predictor(options);
  if (options.name == "arima_frozen") return make_frozen_arima_predictor(options);
  return make_windowed_prophet_predictor(options, kProphetWindow);
}

}  // namespace flexpert::forecast
