#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fleet/decision.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// How much an emergency plan may do beyond serving what was lost.
struct RecoveryBudget {
  std::uint32_t balance_slots = 16;  ///< that may change in each layer for balance alone
};

/// A layout for the devices that are left, made at once: what lives stays where it is, what was lost takes the places of
/// the replicas whose loss hurts least. A plan from all sides (plan_robust(), plan_quality()) can follow when time allows.
struct Recovery {
  ExpertLayout layout;                ///< slots of dead devices are empty
  std::vector<ExpertSlot> orphans;    ///< experts that had no living replica, by layer and expert
  std::vector<ExpertSlot> unserved;   ///< those that have none now, for want of slots: always those with the least load of their layer
  std::uint64_t changed = 0;          ///< living slots that get another expert
  std::uint64_t changed_for_balance = 0;  ///< those of them that serve no orphan
  double unserved_share = 0;          ///< of all load; their rows are computed elsewhere or left out
  double balancedness_before = 1;     ///< with the devices that now are dead
  double balancedness_after_loss = 1; ///< of what the living devices served without this plan
  double balancedness = 1;            ///< of what they serve with it
  std::vector<Reason> reasons;
};

/// Plans for the living devices of `cluster` after a loss: in every layer, first each expert without a living replica gets
/// a slot, empty ones first, then those of redundant replicas. Where there are fewer living slots than experts, the experts
/// with the least load go unserved, and the plan names them. Then up to `balance_slots` slots of each layer change for
/// balance. No two replicas of an expert are put on one device or, as a rule, on one host. Time grows with the slots alone:
/// 58 layers of 288 slots take a few milliseconds. Deterministic.
/// Errors: sizes that do not match, an expert out of range, no living slot, more than 4,096 experts.
Result<Recovery> replan_after_loss(const ExpertLayout& current, const ExpertCluster& cluster, const ExpertCounts& counts,
                                   const RecoveryBudget& budget = {});

}  // namespace flexpert::placement
