#pragma once

#include <cstddef>
#include <memory>

#include "forecast/predictor.h"

namespace flexpert::forecast {

/// Makes a predictor that goes by the last `window` values only (>= 2), as the classic planner's do: before each prediction
/// a copy of `as_new` is shown them from the first to the last. Gaps count as values.
std::unique_ptr<Predictor> make_windowed_predictor(std::unique_ptr<Predictor> as_new, std::size_t window);

}  // namespace flexpert::forecast
