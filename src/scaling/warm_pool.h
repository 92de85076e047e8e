#pragma once

#include <cstdint>
#include <optional>

#include "fleet/decision.h"
#include "scaling/pool_config.h"
#include "scaling/traffic_forecast.h"

namespace flexpert::scaling {

struct WarmPoolSize {
  std::uint32_t wanted = 0;   ///< within the pool's warm.min and warm.max
  std::optional<Reason> reason;
};

/// Sizes a pool's warm instances: what the traffic could need beyond `target` at the start-up horizon, in one of a hundred
/// cases for a pool that is sized for the 0.9 quantile. The policies' own count says how much traffic one instance is worth:
/// they sized `target` for the horizon's upper quantile. Without a forecast the minimum.
WarmPoolSize size_warm_pool(const WarmPoolOptions& options, const TrafficOutlook& outlook, std::uint32_t target);

}  // namespace flexpert::scaling
