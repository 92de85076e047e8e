#include "controller/controller_metrics.h"

#include "controller/rebalance.h"
#include "fleet/fleet_snapshot.h"

namespace flexpert::controller {

ControllerMetrics make_metrics(telemetry::Registry& registry) {
  ControllerMetrics metric;
  metric.cycles = registry.counter("flexpert_controller_cycles_total", "Decision cycles run");
  metric.decisions = registry.counter("flexpert_controller_decisions_total", "Decisions with actions, as journalled");
  metric.poll_failures = registry.counter("flexpert_controller_poll_failures_total", "Model server polls that failed");
  metric.publish_failures = registry.counter("flexpert_controller_publish_failures_total", "Routing tables that a model server did not take");
  metric.windows = registry.counter("flexpert_controller_windows_total", "Closed windows of load measurement");
  metric.epoch = registry.gauge("flexpert_controller_routing_epoch", "Epoch of the routing table in force");
  metric.replicas = registry.gauge("flexpert_controller_expert_replicas", "Expert replicas in the routing table in force");
  metric.capacity = registry.gauge("flexpert_controller_replica_capacity_rows_per_s", "Rows per second that one expert replica can do");
  metric.imbalance = registry.gauge("flexpert_controller_layer_imbalance", "Mean over layers of busiest / mean expert server load");
  metric.dry_run = registry.gauge("flexpert_controller_dry_run", "1 if decisions are recorded and not carried out");
  metric.settle_s = registry.histogram("flexpert_controller_table_settle_seconds",
                                       "From a new routing table to the last model server working by it", telemetry::latency_bounds_s());
  metric.placement_age = registry.gauge("flexpert_placement_plan_age_seconds", "Since the placement in force took effect; 0 before the first");
  metric.expected = registry.gauge("flexpert_placement_expected_balancedness",
                                   "Mean over layers of mean / max server load, of the placement in force under the loads it was made for");
  metric.measured = registry.gauge("flexpert_placement_measured_balancedness",
                                   "The same by the rows that expert servers computed since it is in force; 0 before");
  metric.even_split = registry.gauge("flexpert_placement_even_split_balancedness",
                                     "The same if the replicas of an expert had shared its rows since then evenly; 0 before");
  metric.bound = registry.gauge("flexpert_placement_bound_balancedness", "The most balancedness that any placement could have had under those loads");
  metric.plan_s = registry.histogram("flexpert_placement_plan_seconds", "Time to plan a rebalance",
                                     {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1});
  metric.rebalance_s = registry.histogram("flexpert_placement_rebalance_duration_seconds",
                                          "From the beginning of a rebalance to the last model server working by it", telemetry::latency_bounds_s());
  for (const char* cause : {"initial", "servers_changed", "replicas_changed", "balance"}) {
    metric.moved_slots[cause] = registry.counter("flexpert_placement_moved_slots_total",
                                                 "Replicas that a new table put on a server, moved or added, by cause", {{"cause", cause}});
    metric.moved_bytes[cause] =
        registry.counter("flexpert_placement_moved_bytes_total", "Bytes of their weights, by cause", {{"cause", cause}});
  }
  for (const auto outcome : {RebalanceOutcome::kMoved, RebalanceOutcome::kBalanced, RebalanceOutcome::kNoBetter, RebalanceOutcome::kSmallGain,
                             RebalanceOutcome::kNotWorth, RebalanceOutcome::kNoLoads, RebalanceOutcome::kBusy, RebalanceOutcome::kFailed})
    metric.outcomes[name_of(outcome)] =
        registry.counter("flexpert_placement_rebalances_total", "Rebalances for balance alone, by outcome; dry runs are not counted",
                         {{"outcome", name_of(outcome)}});
  for (const InstanceState state : {InstanceState::kStarting, InstanceState::kWarm, InstanceState::kReady, InstanceState::kDraining,
                                    InstanceState::kStopped, InstanceState::kFailed})
    metric.servers[name_of(state)] = registry.gauge("flexpert_controller_expert_servers", "Expert servers by state", {{"state", name_of(state)}});
  return metric;
}

}  // namespace flexpert::controller
