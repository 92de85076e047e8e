#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "fleet/engine_profile.h"

/// A physical model of one engine instance: how long a step takes, and so what load it carries under latency targets.
namespace flexpert::perf {

using flexpert::EngineLimits;
using flexpert::StepSample;

/// step seconds = fixed + per_new_token * new + per_sequence * batch + per_kv_token * kv read; all >= 0.
struct StepCoefficients {
  double fixed = 0;
  double per_new_token = 0;
  double per_sequence = 0;
  double per_kv_token = 0;
};

/// What requests look like. Spread: squared coefficient of variation of the lengths; 1 is that of an exponential
/// distribution, about what chat traffic has; 0: all alike.
struct Workload {
  double isl = 0;
  double osl = 0;
  double isl_spread = 1;
  double osl_spread = 1;
};

struct LatencyTargets {
  std::optional<double> ttft_s;
  std::optional<double> itl_s;
  double percentile = 0.95;  ///< of requests that are to hold them, in [0.5, 0.999]
};

/// What one instance does at a load.
struct LoadPoint {
  double ttft_s = 0;        ///< at the percentile
  double itl_s = 0;         ///< at the percentile
  double batch = 0;         ///< sequences decoding, mean
  double utilisation = 0;   ///< share of time that steps take, or of its tightest resource; 1 = saturated
  bool stable = false;      ///< the queue does not grow without end
  double mean_ttft_s = 0;
  double mean_itl_s = 0;
  double mean_wait_s = 0;   ///< of mean_ttft_s: before a request's own steps
};

/// The roles that an instance can have; prefill-only and decode-only instances take one part of a request.
enum class EngineRole { kAggregated, kPrefill, kDecode };

/// Sources. Sequences that decode together: the product form of processor sharing with a speed that depends on how many
/// there are (Cohen, The multiple phase service network with generalized processor sharing, 1979), which only depends on the
/// means of the lengths. Waiting for prompts before one's own: Pollaczek-Khinchine's mean for M/G/1 with an exponential tail
/// (Kingman, The single server queue in heavy traffic, 1961). Waiting for room in a full batch: as in Erlang's C formula. The
/// parts of a latency are put together as independent ones: means add, squared excesses over the mean add.
class EngineModel {
 public:
  EngineModel(StepCoefficients coefficients, EngineLimits limits) : coefficients_(coefficients), limits_(limits) {}
  [[nodiscard]] double step_s(double new_tokens, double decode_batch, double kv_tokens_read) const;
  /// Predicts one instance at `requests_per_s`.
  [[nodiscard]] LoadPoint at(double requests_per_s, Workload workload, EngineRole role, double percentile) const;
  /// Returns the mean step of one instance that serves so many requests/s and takes `itl_s` for it: what the model would have to
  /// explain. Throughput times step time gives its parts (Little's law).
  [[nodiscard]] StepSample mean_step(double requests_per_s, Workload workload, EngineRole role, double itl_s) const;
  /// Returns the step of a prompt that starts now, or the mean of its steps if it needs several, beside `decode_batch` sequences.
  /// `seconds` is left 0; `steps` says how many they are.
  [[nodiscard]] StepSample prompt_step(Workload workload, EngineRole role, double decode_batch, double& steps) const;
  /// Returns the requests/s at which an instance saturates: its queue grows without end. 0 if a request does not fit.
  [[nodiscard]] double saturation(Workload workload, EngineRole role) const;
  /// Returns the most requests/s that hold the targets, with headroom for queueing (percentiles, not means); 0 if even
  /// one request at a time does not hold them.
  [[nodiscard]] double capacity(Workload workload, const LatencyTargets& targets, EngineRole role) const;
  [[nodiscard]] const StepCoefficients& coefficients() const { return coefficients_; }
  [[nodiscard]] const EngineLimits& limits() const { return limits_; }

 private:
  StepCoefficients coefficients_;
  EngineLimits limits_;
};

/// Fits by non-negative least squares on relative errors. Errors: fewer than 4 samples, values that are not finite or
/// negative, samples that cannot tell the terms apart are fitted with the terms that they can.
Result<StepCoefficients> fit_steps(std::span<const StepSample> samples);

}  // namespace flexpert::perf
