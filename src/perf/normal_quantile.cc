#include "perf/normal_quantile.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace flexpert::perf {

double normal_quantile(double p) {
  p = std::clamp(p, 1e-12, 1 - 1e-12);
  // Newton's steps on the distribution function, from the logistic approximation; it is concave or convex on each side, so
  // steps from the outside in converge.
  const auto below = [](double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; };
  double x = std::log(p / (1 - p)) / 1.702;
  for (int i = 0; i < 60; ++i) {
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    const double step = std::clamp((below(x) - p) / density, -0.5, 0.5);
    x -= step;
    if (std::fabs(step) < 1e-12) break;
  }
  return x;
}

}  // namespace flexpert::perf
