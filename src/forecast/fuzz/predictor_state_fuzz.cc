// Any text as the saved state of any predictor (the first byte chooses it): an error, or sound predictions from then on.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "forecast/predictor.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::forecast;
  if (size == 0) return 0;
  const auto& names = predictor_names();
  const auto predictor = make_predictor({names[data[0] % names.size()], 900, true});
  if (!predictor) std::abort();
  flexpert::StateReader reader(std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  if (!(*predictor)->restore(reader)) return 0;
  const std::vector<std::size_t> horizons = {1, 4, 40};
  const std::vector<double> levels = {0.1, 0.9};
  for (int i = 0; i < 24; ++i) {
    (*predictor)->observe(i % 7 == 3 ? std::nan("") : 10 + i % 5);
    for (const Prediction& prediction : (*predictor)->predict(horizons, levels)) {
      if (!std::isfinite(prediction.mean) || prediction.mean < 0 || prediction.quantiles.size() != 2) std::abort();
      if (!std::isfinite(prediction.quantiles[0]) || !(prediction.quantiles[0] <= prediction.quantiles[1])) std::abort();
    }
  }
  return 0;
}
