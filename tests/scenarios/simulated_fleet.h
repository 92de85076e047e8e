#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "perf/engine_model.h"
#include "scaling/pool_config.h"

/// Pools of made-up instances that carry plans out, for tests and measurements of the planner.
namespace flexpert::scenarios {

/// How the instances of one pool behave.
struct SimulatedPool {
  scaling::PoolConfig config;
  std::uint32_t instances = 1;             ///< ready at the beginning
  double startup_s = 45;
  double startup_spread = 0;               ///< start-up takes up to this share more or less
  double appear_s = 0;                     ///< an ordered instance is seen only after up to so long
  double drain_s = 30;                     ///< a drain takes up to so long
  double never_ready = 0;                  ///< share of starts that never become ready
  double crash = 0;                        ///< chance of a crash, per ready instance and interval
  std::optional<perf::EngineModel> engine; ///< latencies and capacity come from it; otherwise from the two below
  double capacity_rps = 10;                ///< of one instance
  double service_s = 4;                    ///< a request's time without load
  double isl = 1000;
  double osl = 200;
};

/// What happened to one pool, added up.
struct PoolRecord {
  std::uint32_t changes = 0;      ///< of the number of serving instances that a plan aims at
  std::uint32_t reversals = 0;    ///< changes in the other direction than the one before
  double gpu_s = 0;               ///< held
  double shortfall_s = 0;         ///< time with less capacity than load, start-up of the scenario excluded
  double unserved = 0;            ///< requests that waited longer than an interval, summed over intervals
};

class SimulatedFleet {
 public:
  SimulatedFleet(std::vector<SimulatedPool> pools, std::optional<std::uint32_t> gpu_budget, double interval_s, std::uint64_t seed);

  /// Lets an interval pass with these offered loads (requests/s, one a pool) and returns what a controller would see.
  PoolsSnapshot observe(const std::vector<double>& offered);
  /// Carries a plan out.
  void apply(const ScalePlan& plan);

  /// Returns the GPUs of all instances that exist, seen or not.
  [[nodiscard]] std::uint64_t gpus_held() const;
  [[nodiscard]] const PoolRecord& record(std::size_t pool) const { return pools_[pool].record; }
  [[nodiscard]] std::uint32_t count(std::size_t pool, InstanceState state) const;
  void set_limits(std::size_t pool, PoolLimits limits) { pools_[pool].limits = limits; }
  void set_budget(std::optional<std::uint32_t> gpu_budget) { budget_ = gpu_budget; }
  /// Makes all later traffic figures of a pool this old; they stay what they were.
  void set_traffic_age(std::size_t pool, std::optional<double> age_s) { pools_[pool].traffic_age_s = age_s; }
  [[nodiscard]] std::int64_t unix_ms() const { return unix_ms_; }
  [[nodiscard]] Rng& rng() { return rng_; }

 private:
  struct Life {
    PoolInstance seen;
    std::int64_t appears_unix_ms = 0;
    std::int64_t settles_unix_ms = 0;   ///< becomes ready (or warm), or is gone if it drains
    bool never = false;
    bool warm = false;
  };
  struct Pool {
    SimulatedPool options;
    PoolLimits limits;
    std::vector<Life> lives;
    double backlog = 0;
    std::uint32_t made = 0;
    std::int32_t direction = 0;
    std::uint32_t aimed = 0;
    PoolTraffic traffic;
    std::optional<double> traffic_age_s;
    PoolRecord record;
  };
  Life start(Pool& pool, bool warm);
  void age(Pool& pool);
  void serve(Pool& pool, double offered);
  [[nodiscard]] static std::uint32_t ready_of(const Pool& pool);

  std::vector<Pool> pools_;
  std::optional<std::uint32_t> budget_;
  double interval_s_;
  Rng rng_;
  std::int64_t unix_ms_ = 1'700'000'000'000;
  std::uint64_t cycle_ = 0;
};

}  // namespace flexpert::scenarios
