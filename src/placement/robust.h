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

enum class CaseObjective {
  kWeightedMean,  ///< of the cases' balancedness
  kWorst,         ///< the smallest of the cases' balancedness, layer by layer
};

/// Group-to-node affinity as a cost instead of a wall: a router that picks few groups for a token (DeepSeek-V3: 4 of 8)
/// sends it to few nodes if a group's experts are together. What counts is node_traffic() in affinity.h. 0.03 to 0.5 gives
/// nearly all of the balance for a small part of the traffic of a layout without regard to groups; from about 3 on
/// it is the wall that strict hierarchy is.
struct Affinity {
  std::uint32_t groups = 1;  ///< of logical experts, by consecutive numbers
  double weight = 0;         ///< of balancedness that a share of 1 of all load crossing nodes costs
};

struct RobustProblem {
  std::vector<LoadCase> cases;          ///< one geometry
  ExpertCluster cluster;                ///< speeds, slots, dead devices
  CaseObjective objective = CaseObjective::kWeightedMean;
  /// Replicas of an expert on different hosts while that is possible. It comes before balance, and before affinity: a second
  /// replica is then away from its group's node where nodes are hosts.
  bool spread_hosts = true;
  std::optional<Affinity> affinity;
  std::optional<ExpertLayout> current;  ///< kept where it costs next to nothing; moves are counted against it
};

/// What a plan does besides balance.
struct RobustPlan {
  PlacementPlan plan;                   ///< balance: of the weighted mean of the cases
  std::vector<Balance> by_case;
  double cross_node_share = 0;          ///< of routed load that leaves its group's node, see node_traffic(); 0 without affinity
};

/// Plans for several loads, unlike devices, failure domains, dead ranks, and group affinity. Prefill and decode are two
/// cases where they share devices, two plans where they do not. Deterministic. How: per layer from a packing of the mean
/// load (from one within home nodes under affinity, from the layout in force), exchanges of slots and replicas, each the best
/// for the objective that the busiest devices offer; the largest load stands as a norm with exponents from 16 to 256.
/// With a layout in force every step has to gain 0.0002 of a layer's objective, a layer 0.0005 to change at all, and 0.01
/// to be planned afresh. On unlike devices slots may stay empty.
/// Errors: no case, bad counts, cluster, weights or groups, a layout in force of other sizes, fewer living slots than
/// experts, more than 4,096 experts.
Result<RobustPlan> plan_robust(const RobustProblem& problem);

/// What is left when a host is lost.
struct HostLoss {
  std::uint32_t host = 0;
  std::vector<ExpertSlot> lost;         ///< experts without a living replica
  std::vector<ExpertSlot> lost_with_redundancy;  ///< those of them that had two replicas or more: a layout at fault
  double balancedness = 0;              ///< of what still serves, without a new plan
};

/// Returns, for every host that has devices, by number, what its loss leaves served.
std::vector<HostLoss> host_losses(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts);

}  // namespace flexpert::placement
