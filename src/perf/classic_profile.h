#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "fleet/classic_samples.h"

/// The classic planner's performance tables (NVIDIA Dynamo 0.4-0.5): prefill by ISL, decode by KV use and context.
namespace flexpert::perf {

using flexpert::ClassicSamples;

/// What decode gives at most while it holds an ITL.
struct DecodeOperatingPoint {
  double throughput_per_gpu = 0;  ///< tokens/s
  double itl_s = 0;               ///< that it has there
  double kv_usage = 0;
  bool holds_target = false;      ///< false: even the fastest point is slower than the target
};

/// Looks performance up. Prefill: cubic interpolation (not-a-knot), lengths clamped to the measured range. Decode:
/// Clough-Tocher over (KV use, context) on a 100 x 100 grid, holes filled with the nearest point, read at the nearest
/// cell. Source: Dynamo v0.5.1, planner/utils/perf_interpolation. Immutable; safe from any thread.
class ClassicProfile {
 public:
  /// Errors: kInvalidArgument naming the field and index: too few points, unequal lengths, values that are not finite or
  /// out of range, lengths that do not ascend, all points on one line.
  static Result<std::shared_ptr<const ClassicProfile>> create(ClassicSamples samples);
  virtual ~ClassicProfile() = default;
  [[nodiscard]] virtual double ttft_s(double isl) const = 0;
  /// Returns tokens/s of one GPU.
  [[nodiscard]] virtual double prefill_throughput_per_gpu(double isl) const = 0;
  [[nodiscard]] virtual double itl_s(double concurrency, double context_length) const = 0;
  [[nodiscard]] virtual double decode_throughput_per_gpu(double concurrency, double context_length) const = 0;
  /// Searches from the highest KV use downwards for the first point that holds `itl_target_s`.
  [[nodiscard]] virtual DecodeOperatingPoint best_decode(double itl_target_s, double context_length) const = 0;
  /// Returns what it was made from.
  [[nodiscard]] virtual const ClassicSamples& samples() const = 0;
};

}  // namespace flexpert::perf
