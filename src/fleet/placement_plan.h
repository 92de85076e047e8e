#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "fleet/expert_layout.h"

namespace flexpert {

/// How even one layer's load is. Loads are tokens divided by the device's speed.
struct LayerBalance {
  double mean_load = 0;         ///< the load that living devices serve / the sum of their speeds
  double max_load = 0;          ///< of the busiest device
  double lower_bound = 0;       ///< proven: no layout of these slots that serves as much has a smaller max_load
  std::uint32_t busiest = 0;    ///< device
  std::uint32_t duplicates = 0; ///< replicas that share their device with another of the same expert

  /// Returns mean/max, 1 without load.
  [[nodiscard]] double balancedness() const { return max_load > 0 ? mean_load / max_load : 1.0; }
};

/// How even a layout is under some counts, as SGLang defines it: mean/max of device load per layer, averaged over layers
/// (layers without load do not count).
struct Balance {
  std::vector<LayerBalance> layers;
  double balancedness = 1;
  double worst = 1;               ///< of the worst layer
  std::uint32_t worst_layer = 0;
  double bound = 1;               ///< the balancedness that the lower bounds allow at most
  double gap = 0;                 ///< mean over layers of max_load / lower_bound - 1
  std::uint32_t duplicates = 0;
};

/// Where the weights of a slot come from.
enum class MoveKind { kUnchanged, kSameDevice, kSameNode, kCrossNode, kLoad };

/// Returns "unchanged", "same_device", "same_node", "cross_node" or "load" (from storage: no device has it).
const char* name_of(MoveKind kind);

/// One slot that gets another expert than it has.
struct SlotMove {
  std::uint32_t layer = 0;
  std::uint32_t slot = 0;
  std::int32_t from_expert = kEmptySlot;
  std::int32_t to_expert = kEmptySlot;
  MoveKind kind = MoveKind::kUnchanged;
  std::uint32_t source_slot = 0;  ///< holds to_expert before; meaningless for kLoad
};

/// What a plan changes, slot by slot, in an order that can be carried out.
struct MoveList {
  std::vector<SlotMove> moves;    ///< without the unchanged ones
  std::uint64_t unchanged = 0;    ///< slots
  std::uint64_t same_device = 0;
  std::uint64_t same_node = 0;
  std::uint64_t cross_node = 0;
  std::uint64_t load = 0;
  std::uint64_t bytes = 0;        ///< over links and from storage: all but same_device

  /// Returns the slots that change.
  [[nodiscard]] std::uint64_t changed() const { return same_device + same_node + cross_node + load; }
};

/// A placement, what it is worth, and why.
struct PlacementPlan {
  /// "exact", "quality", "incremental", "semi_hierarchical", "robust", "sized", "dispatch_aware".
  std::string mode;
  ExpertLayout layout;
  Balance balance;                ///< under the loads it was made for
  Balance before;                 ///< of the layout in force under the same loads; no layers without one
  MoveList moves;                 ///< empty without a layout in force
  bool worthwhile = true;         ///< false: keep the layout in force; `layout` is that one then
  std::vector<Reason> reasons;    ///< codes and numbers of what decided
};

}  // namespace flexpert
