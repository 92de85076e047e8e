#pragma once

#include <cstdint>

#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// Lists what turns `from` into `to`, each slot from the nearest device that has its expert before: its own, one of its
/// node, any other; else from storage. A source on a dead device does not count. The order can be carried out one by
/// one: no slot is overwritten while a later move still reads it, unless another copy serves: one from before, however
/// far, else one that an earlier move made. Where moves wait for each other in a circle and no other copy is left, as when
/// two experts without redundancy change places, one of them is kLoad: from storage, or from a copy set aside before.
/// Slots of dead devices are neither listed nor counted. A slot that becomes empty is kSameDevice without bytes, comes
/// last, and its source is itself. Precondition: same geometry and slots.
MoveList moves_between(const ExpertLayout& from, const ExpertLayout& to, const ExpertCluster& cluster, std::uint64_t bytes_per_expert = 0);

/// Permutes the slots within each device of `to` so that what a device keeps stays where it is in `from`. Balance does not change.
void align_slots(const ExpertLayout& from, ExpertLayout& to);

}  // namespace flexpert::placement
