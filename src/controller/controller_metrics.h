#pragma once

#include <map>
#include <string>

#include "telemetry/metrics.h"

namespace flexpert::controller {

/// The controller's series in a Registry: flexpert_controller_* and flexpert_placement_*.
struct ControllerMetrics {
  telemetry::Counter cycles, decisions, poll_failures, publish_failures, windows;
  telemetry::Gauge epoch, replicas, capacity, imbalance, dry_run;
  std::map<std::string, telemetry::Gauge> servers;  ///< expert servers by state
  telemetry::Histogram settle_s;
  telemetry::Gauge placement_age, expected, measured, even_split, bound;
  telemetry::Histogram plan_s, rebalance_s;
  std::map<std::string, telemetry::Counter> moved_slots, moved_bytes, outcomes;  ///< by cause, by cause, by outcome
};

ControllerMetrics make_metrics(telemetry::Registry& registry);

}  // namespace flexpert::controller
