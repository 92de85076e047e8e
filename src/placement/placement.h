#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"
#include "placement/token_dispatch.h"

/// The library's stable face, for programs that plan the experts of their own engine: link `flexpert_placement`, include
/// this header alone. What it declares, and the types of `fleet/` that it names, keep their meaning within a major
/// version; new members are added at the end. The other headers of this folder have more, and change freely.
///
/// Everything here is a function of its arguments: no clock, thread, file or log; the same input gives the same plan on
/// every machine. Arguments are checked: what is wrong with them is an Error that names layer, slot or device. Calls on
/// different objects may run on different threads.
///
/// examples/embed_placement.cc is a whole program.
namespace flexpert::placement {

/// Counts up when a change here could break a program that compiled before.
inline constexpr int kPlacementApi = 1;

enum class PlanMode {
  kQuality,      ///< from scratch, as even as it can be made
  kExact,        ///< DeepSeek EPLB slot for slot; `groups` and the cluster's nodes decide between its two forms
  kIncremental,  ///< from `current`, at most `max_moves` slots
};

struct PlanRequest {
  ExpertCounts counts;                     ///< tokens that chose each expert of each layer
  ExpertCluster cluster;                   ///< GPUs: node, slots, alive; ExpertCluster::uniform() makes plain ones
  PlanMode mode = PlanMode::kQuality;
  std::uint32_t groups = 1;                ///< kExact: groups of experts, by consecutive numbers
  std::optional<ExpertLayout> current;     ///< in force; needed for kIncremental, else for the list of moves
  std::uint64_t max_moves = UINT64_MAX;    ///< kIncremental: slots that may change
  std::uint64_t bytes_per_expert = 0;      ///< weights of one expert of one layer, for the moves' bytes
};

/// Plans replicas and devices for the experts of a load. The plan carries the layout, its balance with a proven lower
/// bound, the moves from `current` in an order that can be carried out, and reasons in words.
Result<PlacementPlan> plan_experts(const PlanRequest& request);

/// Says how even a layout is under some counts, with a proven bound on what is possible.
Result<Balance> evaluate_layout(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts);

/// Lists what turns one layout into another: each slot from the nearest device that has its expert.
Result<MoveList> compare_layouts(const ExpertLayout& from, const ExpertLayout& to, const ExpertCluster& cluster,
                                 std::uint64_t bytes_per_expert = 0);

/// Says in sentences why an expert has its replicas where it has them.
Result<std::vector<std::string>> explain_replicas(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts,
                                                  ExpertSlot expert);

/// Makes the chooser of replicas for the tokens of one layer; TokenDispatch::assign() allocates nothing.
Result<TokenDispatch> make_dispatch(const ExpertLayout& layout, std::uint32_t layer, const ExpertCluster& cluster, DispatchPolicy policy);

}  // namespace flexpert::placement
