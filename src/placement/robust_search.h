#pragma once

#include "placement/robust_state.h"

namespace flexpert::placement {

/// How long and how finely a layer is searched.
struct RobustEffort {
  int first_log2 = 4;        ///< of the norm's exponent: the search begins with 2^first_log2
  int last_log2 = 8;         ///< and ends with 2^last_log2, in steps of 2
  double least_gain = 5e-6;  ///< of the objective, for a step to be taken
  std::uint32_t steps = 0;   ///< at most in each stage; 0: four for each slot
  std::uint64_t candidates = 40'000'000;  ///< steps looked at in each stage, about so many at most; 58 layers of 288 slots need a tenth
};

/// Improves a layer by single steps (two slots change places, or a spare replica becomes one of another expert), always the
/// best that a device under the most load offers, until none gains. Removes faults first and never adds one.
void improve(RobustState& state, const RobustEffort& effort);

}  // namespace flexpert::placement
