#pragma once

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {

/// Rounds to three decimals within +-1000: what is remembered in units of the usual error, so that saved state stays short.
inline double rounded_share(double value) { return std::nearbyint(std::clamp(value, -1000.0, 1000.0) * 1e3) / 1e3; }

/// Rounds to about seven significant digits; what is too small for that becomes 0.
inline double rounded_digits(double value) {
  if (!(std::abs(value) > 1e-290)) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) - 6);
  const double rounded = unit < 1 ? std::nearbyint(value / unit) / std::nearbyint(1 / unit) : std::nearbyint(value / unit) * unit;
  return std::isfinite(rounded) ? rounded : value;
}

}  // namespace flexpert::forecast
