// Any bytes as a series: an error, or values that are finite or gaps, on a grid that our own writer gives back.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/series_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const auto series = parse_series_csv({reinterpret_cast<const char*>(data), size});
  if (!series) return 0;
  if (series->values.empty() || series->values.size() > kMaxSeriesValues || !(series->step_s > 0)) std::abort();
  for (const double value : series->values)
    if (std::isinf(value) || value < 0) std::abort();
  if (std::abs(series->start_s) > 1e9 || series->step_s < 1e-3 || series->values.size() < 2) return 0;
  const auto again = parse_series_csv(write_series_csv(*series),
                                      {.column = {}, .step_s = series->step_s, .missing_is_zero = false, .allow_negative = false});
  if (!again || again->values.size() != series->values.size()) std::abort();
  for (std::size_t i = 0; i < again->values.size(); ++i)
    if (again->values[i] != series->values[i] && !(std::isnan(again->values[i]) && std::isnan(series->values[i]))) std::abort();
  return 0;
}
