#include "scaling/apa.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {

std::uint32_t decide_apa(const ApaOptions& options, std::uint32_t current, double value) {
  if (!(options.target > 0) || !std::isfinite(value)) return current;
  constexpr double kMostWanted = 1e6;
  const double ratio = value / options.target;
  const double wanted = std::ceil(current * ratio);
  if (ratio > 1 + options.up_tolerance)
    return static_cast<std::uint32_t>(std::min({wanted, std::ceil(options.max_scale_up_rate * current), kMostWanted}));
  if (ratio < 1 - options.down_tolerance)
    return static_cast<std::uint32_t>(std::max({wanted, std::floor(current / options.max_scale_down_rate), 0.0}));
  return current;
}

}  // namespace flexpert::scaling
