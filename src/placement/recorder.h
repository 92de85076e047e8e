#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
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

/// Returns "stat", "stat_approx", "per_pass" or "per_token".
const char* name_of(RecorderMode mode);
Result<RecorderMode> parse_recorder_mode(std::string_view name);

struct RecorderOptions {
  RecorderMode mode = RecorderMode::kStat;
  std::uint32_t buffer_steps = 1000;      ///< the newest steps kept; 0 = all since start()
  std::uint32_t sample_every = 8;         ///< kStatApprox: one of so many steps is counted, at random among them
  std::uint32_t max_tokens = 1 << 20;     ///< kPerToken: newest tokens kept; the newest step is kept whole
  std::uint32_t part_tokens = 0;          ///< a part of a window is whole steps with at least so many tokens; 0: no parts
  std::uint32_t parts = 32;               ///< of a window, at most; chosen at random among all of its parts
  std::uint64_t seed = 1;                 ///< of the samples
};

/// Checks that the sizes make sense and that a full buffer takes at most 1 GiB; the message says what to lower.
Result<void> validate(const RecorderOptions& options, const ExpertGeometry& geometry);

/// Stands in RecordedStep::experts where a token chose no expert of the model.
inline constexpr std::uint16_t kNoExpert = UINT16_MAX;

/// One step's routing, kPerPass and kPerToken.
struct RecordedStep {
  std::uint64_t step = 0;
  std::uint32_t tokens = 0;
  std::uint32_t top_k = 0;
  std::vector<std::uint32_t> count;       ///< [layers][experts]
  std::vector<std::uint16_t> experts;     ///< kPerToken: [layers][tokens][top_k]
};

/// The counts of some consecutive steps, and those of short parts of them: what a dispatch sees at once.
struct RecordedWindow {
  ExpertCounts counts;
  std::vector<ExpertCounts> parts;  ///< in no particular order; empty: not recorded
};

/// Counts which experts tokens choose. Fed by one thread, layer by layer within a step; no clock, no lock. Once the buffer
/// is full, kStat and kStatApprox allocate nothing, the others next to nothing (vectors of dropped steps are used again).
class Recorder {
 public:
  /// Precondition: validate(options, geometry). Does not record until start().
  Recorder(ExpertGeometry geometry, RecorderOptions options);

  /// Starts recording afresh.
  void start();
  /// Keeps what was recorded; a step that is not ended is dropped.
  void stop();
  [[nodiscard]] bool recording() const { return recording_; }

  void begin_step(std::uint64_t step);
  /// `experts`: tokens x top_k; numbers outside the model (padding) count nowhere. A layer may come in several parts.
  /// Ignored: a layer outside the model, top_k 0, calls between steps.
  void add_layer(std::uint32_t layer, std::span<const std::uint16_t> experts, std::uint32_t top_k);
  void end_step();

  /// Returns the counts over the buffer.
  [[nodiscard]] ExpertCounts counts() const;
  /// Writes the counts since start() or the last take_window() into `counts`, and begins a new window.
  void take_window(ExpertCounts& counts);
  /// The same with the window's parts (`part_tokens`); steps at its end that make no whole part are in the counts only.
  void take_window(RecordedWindow& window);
  [[nodiscard]] std::uint64_t window_steps() const { return window_.steps; }
  [[nodiscard]] std::uint64_t window_tokens() const { return window_.seen_tokens; }
  /// Returns the newest steps, oldest first (kPerPass, kPerToken).
  [[nodiscard]] const std::deque<RecordedStep>& steps() const { return steps_; }
  [[nodiscard]] std::uint64_t steps_seen() const { return steps_seen_; }
  [[nodiscard]] const ExpertGeometry& geometry() const { return geometry_; }
  [[nodiscard]] const RecorderOptions& options() const { return options_; }

 private:
  /// Counts over some steps, of which a sample may have been counted.
  struct Sum {
    std::vector<std::uint64_t> count;
    std::uint64_t steps = 0;
    std::uint64_t seen_tokens = 0;     // of all steps
    std::uint64_t counted_tokens = 0;  // of those in `count`
  };
  struct StepTokens {
    std::uint64_t seen = 0;  // those of the steps passed over before it too
    std::uint64_t counted = 0;
  };

  void write(const Sum& sum, ExpertCounts& counts) const;
  void choose_sampled_step();
  void count_step(std::uint32_t tokens);
  void add_to_part(std::uint32_t tokens);
  void keep_in_ring(StepTokens tokens);
  void keep_step(std::uint32_t tokens);
  void drop_oldest_step();
  void collect_experts(std::uint32_t tokens);

  ExpertGeometry geometry_;
  RecorderOptions options_;
  Rng rng_;
  bool recording_ = false;
  bool in_step_ = false;
  bool counted_ = false;               // the open step is one of the sample
  std::uint32_t sampled_ = 0;          // step of the present stratum that is counted
  std::uint32_t in_stratum_ = 0;       // steps of it so far
  std::uint64_t steps_seen_ = 0;
  std::uint64_t passed_over_ = 0;      // tokens of the steps since the last counted one
  std::uint64_t step_ = 0;
  std::uint32_t step_top_k_ = 0;
  std::vector<std::uint32_t> step_count_;                // [layers][experts]
  std::vector<std::uint32_t> layer_tokens_;              // [layers] of the open step
  std::vector<std::vector<std::uint16_t>> layer_experts_;  // [layers] of the open step, kPerToken
  Sum buffer_;
  Sum window_;
  std::vector<std::uint32_t> part_count_;              // [layers][experts] of the part begun
  std::uint64_t part_tokens_ = 0;                        // of it
  std::uint64_t parts_seen_ = 0;                         // of the window
  std::vector<std::vector<std::uint32_t>> parts_;        // kept, [options.parts][layers][experts]
  std::vector<std::uint64_t> parts_tokens_;
  std::size_t ring_capacity_ = 0;      // steps; 0: no ring
  std::size_t ring_next_ = 0;
  std::vector<std::uint32_t> ring_;    // [steps kept][layers][experts], kStat and kStatApprox
  std::vector<StepTokens> ring_tokens_;
  std::deque<RecordedStep> steps_;
  std::uint64_t kept_tokens_ = 0;      // in steps_
  RecordedStep spare_;                 // a dropped step, its vectors used again
};

}  // namespace flexpert::placement
