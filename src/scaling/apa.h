#pragma once

#include <cstdint>

namespace flexpert::scaling {

/// AIBrix's pod autoscaler (APA). Source: vllm-project/aibrix, pkg/controller/podautoscaler/algorithm/apa.go.
struct ApaOptions {
  double target = 1;            ///< of the metric an instance
  double up_tolerance = 0.1;
  double down_tolerance = 0.1;
  double max_scale_up_rate = 2;
  double max_scale_down_rate = 2;
};

/// Returns the count for a mean metric of `value` over `current` instances: current * value / target, rounded up, outside the
/// tolerances and within the rates; `current` inside them or where the target is not over 0.
std::uint32_t decide_apa(const ApaOptions& options, std::uint32_t current, double value);

}  // namespace flexpert::scaling
