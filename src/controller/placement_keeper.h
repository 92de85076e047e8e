#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "codec/expert_protocol.h"
#include "controller/rebalance.h"
#include "fleet/routing_table.h"
#include "scaling/load_accumulator.h"

namespace flexpert::controller {

/// When replicas move for balance alone.
struct RebalancePolicy {
  Duration interval = Seconds(30);     ///< between two looks; zero = none
  double threshold = 0.9;
  double drift = 0.1;                  ///< measured so far below expected is looked at early; 0 = never
  double least_gain = 0.02;
  std::uint32_t max_moves = 64;
  std::uint64_t window_tokens = 2048;
  double smoothing = 0.5;              ///< weight of the newest window
  const placement::StepCost* cost = nullptr;
  double link_bytes_per_s = 0;
};

/// What was expected of the placement in force, and what came.
struct PlacementFigures {
  std::optional<double> age_s;                 ///< since the newest change of the table
  std::optional<Balance> expected;             ///< of the table in force, under the loads it was made for
  std::optional<Balance> measured;             ///< by the rows that each server computed since it is in force
  std::optional<Balance> even_split;           ///< under what tokens chose since then, had replicas shared it evenly
  std::uint64_t measured_rows = 0;             ///< that the servers of the table computed since then
  std::uint64_t measured_tokens = 0;           ///< that model servers routed since then
};

/// Remembers what placement goes by: what tokens chose lately, what a plan expected and since when it is in force. A
/// function of what it is told; no clock, no I/O. Belongs to the controller's thread.
class PlacementKeeper {
 public:
  explicit PlacementKeeper(RebalancePolicy policy) : policy_(policy) {}

  /// Takes the newest counters. Closes the window when it holds enough tokens, and tells whether it did.
  bool observe(const scaling::CumulativeLoads& total, std::uint64_t steps);
  /// Takes the rows that an expert server has computed since it started, of the slots that it was used for.
  void observe_server(const InstanceId& id, const ExpertGeometry& geometry, const std::vector<expert_protocol::SlotRows>& rows);
  /// Takes what came since the newest window as one, however little, so that a plan is made for what is now.
  void close_window();

  /// Notes that `table` was sent out; its figures begin when it is in force.
  void planned(const RoutingTable& table);
  /// Notes that the newest table is in force everywhere.
  void in_force(TimePoint now);
  /// Notes that the balance was looked at, and is `balancedness` from here on: only less is drift.
  void looked(TimePoint now, double balancedness);

  /// Returns why the balance is to be looked at now: "interval" or "drift".
  [[nodiscard]] std::optional<Reason> due(const RoutingTable& table, TimePoint now) const;
  /// Returns the wish for a rebalance. An asked one disregards the threshold and the least gain.
  [[nodiscard]] RebalanceInput wish(Reason trigger) const;
  [[nodiscard]] PlacementFigures figures(const RoutingTable& table, TimePoint now) const;
  /// Rows per thousand tokens of every slot, smoothed; empty before the first window.
  [[nodiscard]] const std::vector<double>& loads() const { return loads_; }
  [[nodiscard]] const RebalancePolicy& policy() const { return policy_; }

 private:
  /// Rows per layer.
  struct Server {
    std::vector<std::uint64_t> last;
    std::vector<std::uint64_t> total;    ///< also over restarts
    std::vector<std::uint64_t> at_plan;  ///< empty: not heard of since
  };

  RebalancePolicy policy_;
  std::optional<scaling::CumulativeLoads> newest_;
  std::optional<scaling::CumulativeLoads> window_start_;
  std::optional<scaling::CumulativeLoads> plan_start_;
  std::uint64_t steps_ = 0;
  std::uint64_t steps_at_window_ = 0;
  double tokens_per_step_ = 0;
  double steps_per_s_ = 0;
  std::vector<double> loads_;
  std::vector<double> newest_window_;
  std::map<InstanceId, Server> servers_;
  bool waiting_ = false;  ///< a table was sent and is not in force yet
  std::optional<TimePoint> in_force_at_;
  std::optional<TimePoint> looked_at_;
  std::optional<Balance> expected_;
  std::optional<double> drift_base_;
};

}  // namespace flexpert::controller
