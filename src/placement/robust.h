#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// One load that a robust plan has to serve: a window of time, or a phase.
struct LoadCase {
  std::string name;
  ExpertCounts counts;
  double weight = 1;  ///< > 0
};

enum class CaseObjective { kWeightedMean, kWorst };

/// Group-to-node affinity as a cost instead of a wall.
struct Affinity {
  std::uint32_t groups = 1;  ///< of logical experts, by consecutive numbers
  double weight = 0;         ///< of balancedness that a share of 1 of all load crossing nodes costs
};

struct RobustProblem {
  std::vector<LoadCase> cases;          ///< one geometry
  ExpertCluster cluster;                ///< speeds, slots, dead devices
  CaseObjective objective = CaseObjective::kWeightedMean;
  bool spread_hosts = true;             ///< replicas of an expert on different hosts while that is possible
  std::optional<Affinity> affinity;
  std::optional<ExpertLayout> current;  ///< kept where it costs nothing; moves are counted against it
};

/// What a plan does besides balance.
struct RobustPlan {
  PlacementPlan plan;                   ///< balance: of the weighted mean of the cases
  std::vector<Balance> by_case;
  double cross_node_share = 0;          ///< of routed load that leaves its group's node; 0 without affinity
};

/// Plans for several loads, unlike devices, failure domains, dead ranks, and group affinity. Deterministic.
Result<RobustPlan> plan_robust(const RobustProblem& problem);

/// What is left when a host is lost.
struct HostLoss {
  std::uint32_t host = 0;
  std::vector<ExpertSlot> lost;         ///< experts without a living replica
  std::vector<ExpertSlot> lost_with_redundancy;  ///< those of them that had two replicas or more: a layout at fault
  double balancedness = 0;              ///< of what still serves, without a new plan
};

/// Returns, for every host, what its loss leaves served.
std::vector<HostLoss> host_losses(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts);

}  // namespace flexpert::placement
