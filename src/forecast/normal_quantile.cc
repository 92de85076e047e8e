#include "forecast/normal_quantile.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace flexpert::forecast {

double standard_normal_quantile(double level) {
  const double p = std::clamp(level, 1e-12, 1 - 1e-12);
  // A start within 4.5e-4 (Abramowitz and Stegun 26.2.23), then Halley's steps on the distribution function itself.
  const double tail = std::min(p, 1 - p);
  const double t = std::sqrt(-2 * std::log(tail));
  double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int i = 0; i < 3; ++i) {
    const double error = 0.5 * std::erfc(x / std::numbers::sqrt2) - tail;  // x is in the upper tail: positive means too small
    const double step = error * std::sqrt(2 * std::numbers::pi) * std::exp(0.5 * x * x);
    x += step / (1 - 0.5 * x * step);
  }
  return p < 0.5 ? -x : x;
}

}  // namespace flexpert::forecast
