#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

/// One GPU budget over pools.
namespace flexpert::scaling {

struct BudgetClaim {
  std::uint32_t wanted = 0;             ///< instances
  std::uint32_t min = 0;                ///< instances that it gets before anybody gets more
  std::uint32_t gpus_per_instance = 1;  ///< 0: takes nothing from the budget
  int priority = 0;
  double weight = 1;                    ///< > 0
};

struct BudgetSplit {
  std::vector<std::uint32_t> granted;   ///< instances, in the claims' order; never over wanted (or min where that is more)
  std::uint32_t gpus = 0;
  bool minima_fit = true;               ///< false: not even the minima fit; they are then granted by priority, max-min fair
};

/// Splits `budget` GPUs. Priorities are served from the highest down, each after all minima; within one priority the split
/// is lexicographically max-min fair in granted / (weight * wanted), up to whole instances; ties go to the earlier claim.
/// Monotone in the budget for equal claims where whole instances allow it. Source of the objective: Bertsekas and
/// Gallager, Data Networks, 6.5.2; whole instances by exhaustive argument in tests.
BudgetSplit split_budget(std::span<const BudgetClaim> claims, std::uint32_t budget);

}  // namespace flexpert::scaling
