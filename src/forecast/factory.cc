#include <array>
#include <cmath>

#include <fmt/ranges.h>

#include "forecast/arima_predictor.h"
#include "forecast/constant_predictor.h"
#include "forecast/exponential_predictor.h"
#include "forecast/holt_predictor.h"
#include "forecast/kalman.h"
#include "forecast/mixture.h"
#include "forecast/moving_average_predictor.h"
#include "forecast/predictor.h"
#include "forecast/prophet_predictor.h"
#include "forecast/seasonal_naive_predictor.h"
#include "forecast/windowed_predictor.h"

namespace flexpert::forecast {
namespace {

struct Kind {
  const char* name;
  std::unique_ptr<Predictor> (*make)(const PredictorOptions& options);
};

constexpr std::array kKinds = {
    Kind{"constant", make_constant_predictor},
    Kind{"moving_average", make_moving_average_predictor},
    Kind{"exponential", make_exponential_predictor},
    Kind{"holt", make_holt_predictor},
    Kind{"holt_winters", make_holt_winters_predictor},
    Kind{"arima", make_arima_predictor},
    Kind{"prophet", make_prophet_predictor},
    Kind{"kalman", make_kalman_predictor},
    Kind{"seasonal_naive", make_seasonal_naive_predictor},
    Kind{"mixture", make_mixture_predictor},
};

}  // namespace

const std::vector<std::string>& predictor_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Kind& kind : kKinds) out.emplace_back(kind.name);
    return out;
  }();
  return names;
}

Result<std::unique_ptr<Predictor>> make_predictor(const PredictorOptions& options) {
  if (!std::isfinite(options.step_s) || options.step_s <= 0) {
    return fail(ErrorCode::kInvalidArgument, "step_s must be a positive number of seconds, not {}", options.step_s);
  }
  if (options.window == 1 || options.window > kLargestWindow) {
    return fail(ErrorCode::kInvalidArgument, "window must be 0 or from 2 to {}, not {}", kLargestWindow, options.window);
  }
  for (const Kind& kind : kKinds) {
    if (options.name != kind.name) continue;
    auto made = kind.make(options);
    // A moving average is its window; of the others only so many values are shown to them.
    if (options.window == 0 || options.name == "moving_average") return made;
    return make_windowed_predictor(std::move(made), options.window);
  }
  return fail(ErrorCode::kInvalidArgument, "name: unknown predictor \"{}\"; use one of {}", options.name,
              fmt::join(predictor_names(), ", "));
}

}  // namespace flexpert::forecast
