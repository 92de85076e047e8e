#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/robust_state.h"

namespace flexpert::placement {

/// Returns a first row of slots for experts with homes. Within each node the next replica goes to the expert at home there
/// with the largest share/replicas until its slots are used; the replicas in descending order each to the device that is
/// left with the least, on another host if one has room. Empty if a node cannot hold its experts.
std::vector<std::int32_t> home_start(const RobustState& state, std::span<const std::uint32_t> home);

/// Returns `row` with the slots of dead devices empty, and an expert that has no slot then in the place of the replica
/// whose loss costs least. Precondition: as many living slots as experts.
std::vector<std::int32_t> repaired_start(const RobustState& state, std::span<const std::int32_t> row);

}  // namespace flexpert::placement
