#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace flexpert::bench {

/// What a gateway's /metrics says of requests and connections that are there now.
struct Gauges {
  std::map<std::string, double> of_requests;  ///< admitted, queued, in flight, held, connections: 0 when idle; labels summed up
  std::map<std::string, double> others;       ///< everything else
  [[nodiscard]] double open() const;
};
/// Errors: kUnavailable; kNotFound when a gauge that should be there is not.
Result<Gauges> read_gauges(std::uint16_t metrics_port);

}  // namespace flexpert::bench
