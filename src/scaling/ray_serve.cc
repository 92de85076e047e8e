#include "scaling/ray_serve.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {

std::uint32_t decide_ray_serve(const RayServeOptions& options, std::uint32_t current, double total_requests) {
  if (current == 0 || !(options.target_ongoing_requests > 0) || !std::isfinite(total_requests)) return current;
  constexpr double kMostWanted = 1e6;
  const double ratio = std::max(total_requests, 0.0) / (options.target_ongoing_requests * current);
  const double factor = ratio >= 1 ? options.upscaling_factor : options.downscaling_factor;
  const auto wanted = static_cast<std::uint32_t>(std::clamp(std::ceil(current * (1 + (ratio - 1) * factor)), 0.0, kMostWanted));
  // A factor must not keep a shrink from ever happening.
  return ratio < 1 && wanted == current ? current - 1 : wanted;
}

}  // namespace flexpert::scaling
