#pragma once

#include <span>

/// Scaling by static thresholds, without a profile. Source of the thresholds: ai-dynamo/dynamo, planner, easy mode.
namespace flexpert::scaling {

enum class EasyModeTarget { kThroughput, kLatency };

/// What a prefill engine has before it.
struct PrefillPressure {
  double queued_tokens = 0;
  double context_length = 0;  ///< the longest that it takes
};

/// What a decode engine holds and is about to.
struct DecodePressure {
  double scheduled_kv_tokens = 0;
  double queued_kv_tokens = 0;
  double max_kv_tokens = 0;
};

/// Returns 1 (grow by one), -1 (shrink by one) or 0. One engine over the upper bound is enough to grow, all must be under
/// the lower one to shrink; without engines 0. Prefill: queued / context length; throughput: from 1 up, below 0.1 down;
/// latency: from 0.1 up, 0 down. Decode: (scheduled + queued) / max; throughput: over 1 up, below 0.6 down; latency: over
/// 0.4 up, below 0.1 down. An engine whose size is not positive counts neither way and so prevents shrinking.
int easy_prefill_step(std::span<const PrefillPressure> engines, EasyModeTarget target);
int easy_decode_step(std::span<const DecodePressure> engines, EasyModeTarget target);

}  // namespace flexpert::scaling
