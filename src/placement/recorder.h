#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// What is recorded of routing, as SGLang's --expert-distribution-recorder-mode names it.
enum class RecorderMode {
  kStat,        ///< counts per step, summed over the buffer
  kStatApprox,  ///< the same from a sample of the steps, scaled up
  kPerPass,     ///< counts of each step
  kPerToken,    ///< the experts of each token
};

const char* name_of(RecorderMode mode);
Result<RecorderMode> parse_recorder_mode(std::string_view name);

struct RecorderOptions {
  RecorderMode mode = RecorderMode::kStat;
  std::uint32_t buffer_steps = 1000;      ///< the newest steps kept; 0 = all since start()
  std::uint32_t sample_every = 8;         ///< kStatApprox: one of so many steps is counted
  std::uint32_t max_tokens = 1 << 20;     ///< kPerToken: newest tokens kept
};

/// One step's routing, kPerPass and kPerToken.
struct RecordedStep {
  std::uint64_t step = 0;
  std::uint32_t tokens = 0;
  std::vector<std::uint32_t> count;       ///< [layers][experts]
  std::vector<std::uint16_t> experts;     ///< kPerToken: [layers][tokens][top_k]
};

/// Counts which experts tokens choose. Fed by one thread, layer by layer within a step; no clock, no lock.
class Recorder {
 public:
  Recorder(ExpertGeometry geometry, RecorderOptions options);

  /// Starts recording afresh.
  void start();
  void stop();
  [[nodiscard]] bool recording() const { return recording_; }

  void begin_step(std::uint64_t step);
  /// `experts`: tokens x top_k.
  void add_layer(std::uint32_t layer, std::span<const std::uint16_t> experts, std::uint32_t top_k);
  void end_step();

  /// Returns the counts over the buffer.
  [[nodiscard]] ExpertCounts counts() const;
  /// Returns the newest steps, oldest first (kPerPass, kPerToken).
  [[nodiscard]] const std::deque<RecordedStep>& steps() const { return steps_; }
  [[nodiscard]] std::uint64_t steps_seen() const { return steps_seen_; }

 private:
  ExpertGeometry geometry_;
  RecorderOptions options_;
  bool recording_ = false;
  std::uint64_t steps_seen_ = 0;
  std::deque<RecordedStep> steps_;
};

}  // namespace flexpert::placement
