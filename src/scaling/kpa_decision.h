#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/state_text.h"

/// Knative's pod autoscaler as a pure decision. Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go.
namespace flexpert::scaling {

struct KpaSpec {
  double target_value = 10;        ///< aimed at, per instance
  double total_value = 0;          ///< what an instance takes at most, for the burst capacity
  double max_scale_up_rate = 10;
  double max_scale_down_rate = 10;
  double panic_threshold = 2;      ///< wanted in the panic window over ready, from which panic begins
  double stable_window_s = 60;
  double target_burst_capacity = 0;
  double scale_down_delay_s = 0;
  std::uint32_t activation_scale = 1;
  bool reachable = true;           ///< false: shrinks without the rate
};

/// What the decision remembers.
struct KpaState {
  std::optional<std::int64_t> panic_unix_ms;  ///< in panic, last over the threshold then
  double most_in_panic = 0;
  struct Delayed {
    std::int64_t tick = 0;
    double wanted = 0;
  };
  std::deque<Delayed> delayed;   ///< of the scale-down delay: ticks ascend, counts descend

  /// Starts as Knative does: over one instance, in panic, so that a new autoscaler without history takes nothing away.
  static KpaState started(std::int64_t unix_ms, std::uint32_t ready);
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);
};

struct KpaDecision {
  std::uint32_t wanted = 0;
  bool panic = false;
  double stable_wanted = 0;          ///< before rates, rounded up
  double panic_wanted = 0;
  double excess_burst_capacity = 0;  ///< < 0: not enough for the burst that is to be taken off hand; reported only
};

/// Decides from what was observed over the stable and the panic window, of all instances together.
KpaDecision decide_kpa(const KpaSpec& spec, KpaState& state, std::int64_t unix_ms, std::uint32_t ready, double stable_value, double panic_value);

}  // namespace flexpert::scaling
