#include "placement/fleet_size.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace flexpert::placement {
namespace {

std::uint32_t servers_for(double amount, double per_server) {
  if (!(amount > 0) || !(per_server > 0)) return 0;
  return static_cast<std::uint32_t>(std::min(std::ceil(amount / per_server - 1e-9), 65535.0));
}

}  // namespace

FleetSize servers_needed(const FleetSizeInput& input) {
  const double total = std::accumulate(input.replicas.begin(), input.replicas.end(), 0.0);
  const std::uint32_t spread = input.replicas.empty() ? 0 : *std::max_element(input.replicas.begin(), input.replicas.end());
  const std::uint32_t for_slots = servers_for(total, input.slots_per_server);
  const std::uint32_t for_speed = servers_for(input.rows_per_s, input.server_rows_per_s * input.target_load);
  const std::uint32_t to_keep = servers_for(input.rows_per_s, input.server_rows_per_s * input.keep_load);

  const std::uint32_t hard = std::max({for_slots, spread, input.min_servers});
  std::uint32_t needed = std::max(hard, for_speed);
  const char* code = needed == input.min_servers ? "min_servers" : needed == for_slots ? "slots" : needed == spread ? "replica_spread" : "speed";
  if (input.current > needed && input.current <= std::max(hard, to_keep)) {
    needed = input.current;
    code = "hold";
  }
  if (needed > input.max_servers) {
    needed = input.max_servers;
    code = "at_max_servers";
  }
  FleetSize out;
  out.servers = needed;
  out.reason = {code,
                fmt::format("{} expert servers: {} for {:.0f} replicas in slots, {} for {:.0f} rows/s, {} for the most replicated expert, {} to {} allowed",
                            needed, for_slots, total, for_speed, input.rows_per_s, spread, input.min_servers, input.max_servers),
                {{"servers", needed},
                 {"current", input.current},
                 {"for_slots", for_slots},
                 {"for_speed", for_speed},
                 {"for_spread", spread},
                 {"replicas", total},
                 {"rows_per_s", input.rows_per_s},
                 {"server_rows_per_s", input.server_rows_per_s}}};
  return out;
}

}  // namespace flexpert::placement
