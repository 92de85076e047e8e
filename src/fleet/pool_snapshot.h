#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"

/// What the pool planner sees: pools of instances, their traffic with its age, the limits in force.
namespace flexpert {

/// What a pool's instances do.
enum class PoolRole { kAggregated, kPrefill, kDecode, kGateway };
const char* name_of(PoolRole role);

/// One measured value and how old it is. A value that is NaN or infinite is as good as missing.
struct MetricSample {
  double value = 0;
  double age_s = 0;
};
using MetricMap = std::map<std::string, MetricSample>;

/// One instance of a pool. States as in fleet_snapshot.h; kWarm: started and idle, takes no requests until activated.
struct PoolInstance {
  InstanceId id;
  InstanceState state = InstanceState::kStarting;
  std::int64_t since_unix_ms = 0;  ///< in this state since
  std::uint32_t in_flight = 0;     ///< requests that it works on
  std::uint32_t queued = 0;        ///< requests that wait in it
  double remaining_tokens = 0;     ///< still to be produced for them, as far as known
  MetricMap metrics;               ///< "cpu", "gpu", "kv", ... of this instance
};

/// What came and how it was served over the newest interval, all instances together. Absent: not known.
struct PoolTraffic {
  std::optional<MetricSample> requests_per_s;  ///< offered, whether served or not
  std::optional<MetricSample> isl;             ///< tokens of a prompt, mean
  std::optional<MetricSample> osl;             ///< tokens of an answer, mean
  std::optional<MetricSample> ttft_s;          ///< mean
  std::optional<MetricSample> itl_s;           ///< mean
  std::optional<MetricSample> duration_s;      ///< of a request, mean
  std::optional<MetricSample> in_flight;       ///< requests in service, mean over the interval
  std::optional<MetricSample> queued;          ///< requests held at the gateway, also for a pool without instances
};

/// Limits of a pool as they are in force: from configuration or an admin call.
struct PoolLimits {
  std::uint32_t min = 1;
  std::uint32_t max = 8;
  std::optional<std::uint32_t> manual;  ///< replicas that a person asked for; overrides policies, not limits

  bool operator==(const PoolLimits&) const = default;
};

struct PoolObservation {
  PoolId pool;
  PoolLimits limits;
  std::vector<PoolInstance> instances;  ///< all that hold GPUs: starting, warm, ready, draining, failed ones being restarted
  PoolTraffic traffic;
  MetricMap metrics;                    ///< by the names that policies ask for
  std::optional<double> startup_s;      ///< measured, from start to ready; absent before the first
};

/// One cycle's input. The same snapshots in the same order give the same plans, bit for bit.
struct PoolsSnapshot {
  std::uint64_t cycle = 0;
  std::int64_t unix_ms = 0;
  std::optional<std::uint32_t> gpu_budget;  ///< over all pools; absent: no limit
  std::vector<PoolObservation> pools;       ///< in the configuration's order
};

}  // namespace flexpert
