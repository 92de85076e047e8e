#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_slot.h"
#include "fleet/routing_trace.h"
#include "placement/token_dispatch.h"

namespace flexpert::placement {

struct ReplayOptions {
  std::uint32_t devices = 8;
  std::uint32_t slots_per_device = 5;
  std::uint32_t window_tokens = 2048;
  std::uint32_t concurrent = 32;      ///< requests of a topic that decode together, a token each per step
  DispatchPolicy dispatch = DispatchPolicy::kLeastLoaded;
};

/// One window: what the layout made from earlier windows gave, beside what else it could have been.
struct ReplayWindow {
  std::string topic;                  ///< of most of its tokens
  std::uint32_t tokens = 0;
  bool topic_changed = false;         ///< the first window of its topic
  double balancedness = 0;            ///< ours
  double none = 0;                    ///< no balancing: no redundancy, experts in order
  double replanned = 0;               ///< planned from scratch from the window before
  double ideal = 0;                   ///< ours with each expert's load split as evenly as any split of it allows
  std::uint64_t moves = 0;            ///< slots that ours changed before this window
  std::uint64_t replan_moves = 0;
  std::string decision;               ///< reason code of what was done before it: "first", "hold", "drift", "interval"
};

struct ReplayReport {
  std::vector<ReplayWindow> windows;
};

/// Plays a trace through recorder, drift detection, incremental plans and dispatch: topics one after another, requests
/// interleaved within a topic; the layout of a window is made from earlier windows only. Deterministic.
Result<ReplayReport> replay(const RoutingTrace& trace, const ReplayOptions& options);

}  // namespace flexpert::placement
