#include "scaling/warm_pool.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {

WarmPoolSize size_warm_pool(const WarmPoolOptions& options, const TrafficOutlook& outlook, std::uint32_t target) {
  if (options.max == 0) return {};
  const std::uint32_t least = std::min(options.min, options.max);
  if (!outlook.horizon || target == 0 || !(outlook.horizon->requests_per_s_upper > 0)) return {least, std::nullopt};
  const double planned = outlook.horizon->requests_per_s_upper;
  const double needed = std::ceil(static_cast<double>(target) * outlook.rare_requests_per_s / planned - 1e-9);
  const double extra = std::clamp(needed - target, static_cast<double>(least), static_cast<double>(options.max));
  const auto wanted = static_cast<std::uint32_t>(extra);
  return {wanted, Reason{"warm_pool",
                         fmt::format("{} warm: {:.4g} requests/s are possible in {:.0f} s where {} serve {:.4g}", wanted,
                                     outlook.rare_requests_per_s, outlook.horizon->horizon_s, target, planned),
                         {{"warm", wanted},
                          {"rare_requests_per_s", outlook.rare_requests_per_s},
                          {"requests_per_s_upper", planned},
                          {"target", target},
                          {"min", options.min},
                          {"max", options.max}}}};
}

}  // namespace flexpert::scaling
