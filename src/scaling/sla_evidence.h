#pragma once

#include <cstdint>

#include "base/state_text.h"
#include "perf/engine_model.h"
#include "perf/online_model.h"

namespace flexpert::scaling {

/// What the instances of a pool were seen to carry, and how far a capacity that was only learned may be trusted by it. Loads
/// are kept as requests of their lengths, and compared by the share of saturation that they are by the model of the moment.
/// Deterministic; state of a few numbers.
class LoadEvidence {
 public:
  explicit LoadEvidence(perf::EngineRole role) : role_(role) {}

  /// Takes an interval of a settled pool. `held`: its latencies were within the targets. A load counts as carried if two
  /// intervals in a row held: one alone may be a glitch.
  void settled(const perf::IntervalMeans& seen, bool held, const perf::EngineModel& model);
  /// Takes how many requests are held back before the ready instances. Where they pile up though all of the pool is ready, the
  /// load is not carried; where they become fewer, it is, and is taken as this `share` of what an instance could do.
  void queue(double queued, double interval_s, const perf::IntervalMeans& load, bool all_ready, double share,
             const perf::EngineModel* model);
  /// No statement about the queue is possible.
  void no_queue() { growing_ = shrinking_ = 0, queued_ = ready_ = 0; }

  /// Fewer intervals were seen than a model needs.
  [[nodiscard]] bool young() const;
  /// Requests pile up although every instance is ready: the pool is too small, whatever a model says.
  [[nodiscard]] bool piles_up() const;
  /// Requests/s that one instance was seen to carry, in requests of these lengths; 0: none yet.
  [[nodiscard]] double carried(const perf::EngineModel& model, perf::Workload workload) const;
  /// Returns what a learned capacity counts for: the more it exceeds what was carried, the less, and while the evidence is
  /// young a little over what was carried.
  [[nodiscard]] double trusted(double capacity, const perf::EngineModel& model, perf::Workload workload) const;
  /// Returns the load at which requests piled up, infinity if they never did; it fades as intervals hold.
  [[nodiscard]] double broken(const perf::EngineModel& model, perf::Workload workload) const;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  /// One instance's load; no rate: none.
  struct Load {
    double rate = 0;
    double isl = 0;
    double osl = 0;
  };
  [[nodiscard]] double share_of(const Load& load, const perf::EngineModel& model) const;
  [[nodiscard]] double as(const Load& load, const perf::EngineModel& model, perf::Workload workload) const;

  perf::EngineRole role_;
  std::uint64_t intervals_ = 0;
  Load newest_;                 ///< of the interval before, if it held
  Load carried_;
  Load broken_;
  double queued_ = 0;
  double ready_ = 0;
  std::uint32_t growing_ = 0;   ///< intervals in a row in which the queue grew
  std::uint32_t shrinking_ = 0;
};

}  // namespace flexpert::scaling
