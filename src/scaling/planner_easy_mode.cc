#include "scaling/planner_easy_mode.h"

#include <algorithm>

namespace flexpert::scaling {

int easy_prefill_step(std::span<const PrefillPressure> engines, EasyModeTarget target) {
  const bool throughput = target == EasyModeTarget::kThroughput;
  const double up = throughput ? 1.0 : 0.1;
  if (std::ranges::any_of(engines, [&](const auto& e) { return e.context_length > 0 && e.queued_tokens / e.context_length >= up; }))
    return 1;
  const bool idle = std::ranges::all_of(engines, [&](const auto& e) {
    if (!(e.context_length > 0)) return false;
    const double pressure = e.queued_tokens / e.context_length;
    return throughput ? pressure < 0.1 : pressure == 0;
  });
  return idle && !engines.empty() ? -1 : 0;
}

int easy_decode_step(std::span<const DecodePressure> engines, EasyModeTarget target) {
  const bool throughput = target == EasyModeTarget::kThroughput;
  const double up = throughput ? 1.0 : 0.4;
  const double down = throughput ? 0.6 : 0.1;
  const auto pressure = [](const DecodePressure& e) { return (e.scheduled_kv_tokens + e.queued_kv_tokens) / e.max_kv_tokens; };
  if (std::ranges::any_of(engines, [&](const auto& e) { return e.max_kv_tokens > 0 && pressure(e) > up; })) return 1;
  const bool idle = std::ranges::all_of(engines, [&](const auto& e) { return e.max_kv_tokens > 0 && pressure(e) < down; });
  return idle && !engines.empty() ? -1 : 0;
}

}  // namespace flexpert::scaling
