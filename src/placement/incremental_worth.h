#pragma once

#include <cstdint>

#include "fleet/placement_plan.h"
#include "placement/incremental.h"

namespace flexpert::placement {

/// Returns the milliseconds of all layers of a step: `tokens_per_device` tokens on each of `devices`, layers without load
/// left out.
double step_ms(const Worth& worth, const Balance& balance, std::uint32_t devices);

/// Returns the same for perfectly even layers.
double even_step_ms(const Worth& worth, const Balance& balance, std::uint32_t devices);

/// Tells whether even layers would save less than a hundredth of a step, or there are no steps to save it in.
bool imbalance_is_free(const Worth& worth, const Balance& balance, std::uint32_t devices);
/// Returns the milliseconds that moves take when every device sends and receives at once: those of the device with most to
/// do, weights from storage at the speed of cross-node links.
double moves_ms(const Worth& worth, const MoveList& moves, const ExpertLayout& layout, std::uint64_t bytes_per_expert);

}  // namespace flexpert::placement
