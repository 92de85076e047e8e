#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fleet/decision.h"
#include "perf/classic_profile.h"

/// The classic SLA planner's formulas (NVIDIA Dynamo 0.4-0.5), as pure functions.
namespace flexpert::scaling {

struct ClassicPlanOptions {
  double ttft_s = 0.5;                    ///< only for reasons: the formulas size prefill by throughput
  double itl_s = 0.05;
  double interval_s = 60;                 ///< over which requests are counted
  std::uint32_t gpus_per_prefill = 1;
  std::uint32_t gpus_per_decode = 1;
  std::uint32_t min_prefill = 1;
  std::uint32_t max_prefill = UINT32_MAX;
  std::uint32_t min_decode = 1;
  std::uint32_t max_decode = UINT32_MAX;
  std::optional<std::uint32_t> gpu_budget;
};

/// What was seen over one interval. Latencies in seconds; lengths in tokens, means.
struct ClassicObservation {
  double requests = 0;
  double isl = 0;
  double osl = 0;
  double ttft_s = 0;
  double itl_s = 0;
  double duration_s = 0;                  ///< of a request
  std::uint32_t prefill_instances = 0;
  std::uint32_t decode_instances = 0;
};

/// Traffic of the next interval, as a predictor gives it.
struct ClassicTraffic {
  double requests = 0;
  double isl = 0;
  double osl = 0;
};

/// Observed over expected latency.
struct ClassicCorrection {
  double prefill = 1;
  double decode = 1;
};

struct ClassicPlan {
  std::uint32_t prefill = 0;              ///< instances
  std::uint32_t decode = 0;
  std::uint32_t wanted_prefill = 0;       ///< before the GPU budget
  std::uint32_t wanted_decode = 0;
  bool minima_fit = true;                 ///< false: the budget does not even hold the minima
  std::vector<Reason> reasons;
};

/// Tells whether an observation can be planned with: all finite, none negative, lengths positive when there are requests.
/// Zero requests are valid.
bool is_valid(const ClassicObservation& observation);

/// Returns `before` when the observation has no requests, or no latency or instances to compare with.
ClassicCorrection classic_correction(const perf::ClassicProfile& profile, const ClassicObservation& seen, double interval_s,
                                     const ClassicCorrection& before);

/// Instances for prefill before rounding up: tokens/s * min(1, correction) / throughput of one instance. Adds its reason.
double classic_prefill_exact(const perf::ClassicProfile& profile, const ClassicTraffic& next, double correction,
                              const ClassicPlanOptions& options, std::vector<Reason>& reasons);

/// Instances for decode before rounding up: tokens/s over the best throughput of one instance under itl_s / correction (itl_s
/// when the correction is not positive). Adds its reason.
double classic_decode_exact(const perf::ClassicProfile& profile, const ClassicTraffic& next, double correction,
                             const ClassicPlanOptions& options, std::vector<Reason>& reasons);

/// Plans both roles, rounded up and within minimum and maximum, then the GPU budget: prefill keeps its share of it, decode gets all that
/// is left, as in the reference.
/// Where the reference rounds the rest up and so exceeds the budget, this rounds down; where the minima do not fit, decode and
/// then prefill go below them, since a budget is never exceeded. GPUs per instance are at least 1.
ClassicPlan classic_plan(const perf::ClassicProfile& profile, const ClassicTraffic& next, const ClassicCorrection& correction,
                         const ClassicPlanOptions& options);

}  // namespace flexpert::scaling
