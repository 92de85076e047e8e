#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/table_balance.h"
#include "fleet/decision.h"
#include "placement/step_cost.h"

/// Moving replicas for balance alone: what is asked for, what came of it. Replica counts are not its business.
namespace flexpert::controller {

/// What moved weights may cost, where a step's cost is known.
struct RebalanceWorth {
  const placement::StepCost* cost = nullptr;  ///< null: any gain that is large enough pays
  double tokens_per_step = 0;                 ///< measured; of all servers together
  double steps = 0;                           ///< expected until the next rebalance
  double link_bytes_per_s = 0;                ///< 0: moves are free
};

/// One wish to rebalance.
struct RebalanceInput {
  Reason trigger;              ///< "asked", "interval" or "drift"
  std::vector<double> loads;   ///< of every slot, in any unit; empty or all zero: nothing is known
  double threshold = 0;        ///< balancedness at or over which nothing is done; 0 = never
  double least_gain = 0;       ///< of balancedness
  std::uint32_t max_moves = 0; ///< replicas
  RebalanceWorth worth;
};

enum class RebalanceOutcome {
  kMoved,      ///< replicas move
  kBalanced,   ///< at or over the threshold already
  kNoBetter,   ///< no move within the budget makes it more even
  kSmallGain,  ///< less than the least gain
  kNotWorth,   ///< the moves cost more than the steps save
  kNoLoads,    ///< nothing was measured yet
  kBusy,       ///< an earlier table is not in force everywhere yet, or servers come and go
  kFailed,     ///< the planner refused; a reason says why
};

/// Returns "moved", "balanced", "no_better", "small_gain", "not_worth", "no_loads", "busy" or "failed".
const char* name_of(RebalanceOutcome outcome);

/// What one rebalance concluded.
struct RebalanceReport {
  RebalanceOutcome outcome = RebalanceOutcome::kBusy;
  bool dry_run = false;
  std::uint64_t epoch = 0;         ///< of the table that carries it out; 0: none
  std::uint32_t servers = 0;
  Balance before;
  Balance after;                   ///< as `before` unless replicas move
  std::vector<ReplicaMove> moves;
  std::uint64_t bytes = 0;         ///< of weights that servers get
  std::vector<Reason> reasons;     ///< the conclusion, then what triggered it, then what it is worth

  [[nodiscard]] double gain() const { return after.balancedness - before.balancedness; }
};

/// A rebalance as planned: the table is there only if replicas move.
struct RebalancePlan {
  RebalanceReport report;
  std::optional<RoutingTable> table;  ///< with the next epoch
};

/// Plans moves on the servers of `table`, which keep at most `slots_per_server` replicas each; counts of replicas stay.
/// Promises: at most `max_moves` moves; no layer's balance is worse. `bytes_per_replica` only counts what travels.
RebalancePlan plan_rebalance(const RoutingTable& table, std::uint32_t slots_per_server, const RebalanceInput& input, std::uint64_t bytes_per_replica);

}  // namespace flexpert::controller
