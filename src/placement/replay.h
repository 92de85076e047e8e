#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/routing_trace.h"
#include "placement/rebalance.h"
#include "placement/token_dispatch.h"

namespace flexpert::placement {

/// The options of a rebalancer that may plan before every window.
RebalanceOptions every_window();

struct ReplayOptions {
  std::uint32_t devices = 8;
  std::uint32_t slots_per_device = 5;
  std::uint32_t window_tokens = 2048; ///< a window ends with the step that reaches them
  std::uint32_t concurrent = 32;      ///< requests of a topic that decode together, a token each per step
  std::uint32_t part_tokens = 32;     ///< of the parts of windows that plans are made for
  DispatchPolicy dispatch = DispatchPolicy::kLeastLoaded;
  RebalanceOptions rebalance = every_window();  ///< splits_freely goes off for policies that do not look at the load
};

/// How even the devices' load was in a window: mean over the layers of mean/max of the devices' routed tokens.
struct ReplayBalance {
  double window = 0;  ///< of the sums over the window (SGLang's balancedness)
  double steps = 0;   ///< of each step, mean over the steps: what the step times follow; whole tokens bound it below 1
};

/// One window: what the layout made from earlier windows gave, beside what else it could have been.
struct ReplayWindow {
  std::string topic;                  ///< of most of its tokens
  std::uint32_t tokens = 0;
  std::uint32_t steps = 0;
  bool topic_changed = false;         ///< the first window of its topic
  bool steady = false;                ///< neither that nor the first window of all
  double balancedness = 0;            ///< ours, of the sums
  double none = 0;                    ///< no balancing: no redundancy, experts in order
  double replanned = 0;               ///< planned from scratch from the window before (exact mode)
  double ideal = 0;                   ///< ours with each expert's load split as evenly as any split of it allows
  ReplayBalance ours_by, none_by, replanned_by;  ///< the same in both ways of counting
  std::uint64_t moves = 0;            ///< slots that ours changed before this window
  std::uint64_t replan_moves = 0;
  double drift = 0;                   ///< of the window before it, in units of chance; 0: not known
  std::string decision;               ///< what the rebalancer said of the window before it; "none" before the first
};

struct ReplayReport {
  std::vector<ReplayWindow> windows;
};

/// Plays a trace through recorder, drift detection, plans and dispatch: topics one after another, requests interleaved
/// within a topic; the layout of a window is made from earlier windows only. Deterministic.
/// Errors: options out of range, fewer slots than experts, a trace without tokens.
Result<ReplayReport> replay(const RoutingTrace& trace, const ReplayOptions& options);

/// One topic's windows: from a change to it to the next change.
struct ReplayTopic {
  std::string topic;
  std::uint32_t windows = 0;
  double balancedness = 0;            ///< mean over all of them, the first one too
  double steady = 0;                  ///< mean over the steady ones; 0 without
  std::uint32_t first = 0;            ///< index of its first window
  /// Windows until the balancedness is at least the goal: 1 if the first has it; windows + 1 if none has.
  std::uint32_t recovered_after = 0;
};

struct ReplaySummary {
  std::uint32_t steady_windows = 0;
  double steady = 0;                  ///< mean over them
  double steady_steps = 0;            ///< the same of the mean over steps
  double steady_ideal = 0;
  double steady_none = 0;
  double steady_replanned = 0;
  double steady_replanned_steps = 0;
  double least_steady = 1;            ///< of the worst steady window
  std::vector<ReplayTopic> topics;    ///< in order; one that comes back has several entries
  std::uint64_t moves = 0;
  std::uint64_t replan_moves = 0;
  std::uint32_t below_none = 0;       ///< longest run of windows below no balancing
};

/// Sums a report up. `goal`: the balancedness to be back at after a change.
ReplaySummary summary_of(const ReplayReport& report, double goal = 0.88);

}  // namespace flexpert::placement
