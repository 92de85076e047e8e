#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/clock.h"
#include "engine/model/engine.h"
#include "fleet/expert_slot.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

/// The engine's series in a Registry (flexpert_engine_*). Belongs to the engine thread.
class EngineMetrics {
 public:
  EngineMetrics(telemetry::Registry& registry, const EngineOptions& options);

  void set_levels(const EngineStats& stats, std::uint64_t tokens_to_come);
  void set_resources(EngineResources resources);
  void count_step(std::uint64_t prompt_tokens, Duration took);
  void count_first_token(Duration since_submit);
  void count_next_token(Duration since_last);
  void count_token() { generated_tokens_.add(); }
  void count_finish(FinishReason reason, Duration since_submit);
  /// Shows the 20 experts with the most rows since start; callers do it once a second and when the engine falls idle.
  void show_busiest(const std::vector<std::uint64_t>& rows, ExpertGeometry geometry);
  [[nodiscard]] bool busiest_due(TimePoint now) const { return now - busiest_shown_ >= Seconds(1); }
  void busiest_shown(TimePoint now) { busiest_shown_ = now; }

 private:
  telemetry::Registry* registry_;
  telemetry::Gauge queue_depth_;
  telemetry::Gauge running_;
  telemetry::Gauge kv_blocks_used_;
  telemetry::Gauge kv_blocks_;
  telemetry::Gauge threads_;
  telemetry::Gauge remaining_tokens_;
  telemetry::Histogram ttft_;
  telemetry::Histogram itl_;
  telemetry::Histogram step_;
  telemetry::Histogram duration_;
  telemetry::Counter prompt_tokens_;
  telemetry::Counter generated_tokens_;
  telemetry::Counter steps_;
  std::vector<telemetry::Counter> finished_;  // by FinishReason
  std::set<std::size_t> busiest_;             // geometry indices that have a series
  TimePoint busiest_shown_{};
};

}  // namespace flexpert::engine
