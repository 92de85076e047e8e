#pragma once

#include <cstdint>

#include "base/state_text.h"
#include "fleet/pool_snapshot.h"

namespace flexpert::scaling {

/// How a way to plan did in one pool, added up.
struct ShadowScore {
  double seconds = 0;
  double gpu_s = 0;         ///< GPUs of the instances that it wanted, times the time
  double shortfall_s = 0;   ///< missing instances, times the time: against what the realised demand needed
  std::uint64_t changes = 0;
  std::uint64_t reversals = 0;   ///< changes in the other direction than the one before
  std::int64_t direction = 0;

  /// Adds one cycle: `count` wanted, `was` before, `ready` and `needed` at its end.
  void add(double interval_s, std::uint32_t gpus_per_instance, std::uint32_t was, std::uint32_t count, std::uint32_t ready, double needed);
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

  bool operator==(const ShadowScore&) const = default;
};

/// Learns what one live instance can do, and so what the realised demand needed. Where ready instances report their use
/// ("utilisation", else "gpu", else "cpu"): requests/s of one over its use, smoothed. Otherwise the most requests/s that one
/// served while nothing waited; a queue at less than that lowers it by a quarter of the difference.
class RealisedDemand {
 public:
  /// Takes a cycle of the live pool; returns the instances that its requests needed, with a fraction; 0 while that is not
  /// known. Figures older than `max_age_s` do not count.
  double observe(const PoolObservation& pool, double max_age_s);
  void save(StateWriter& writer) const { writer.number(capacity_); }
  void restore(StateReader& reader) { capacity_ = reader.number(); }

 private:
  double capacity_ = 0;   ///< requests/s of one instance
};

}  // namespace flexpert::scaling
