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
  double weight = 1;                    ///< > 0; anything else counts as 1
};

struct BudgetSplit {
  std::vector<std::uint32_t> granted;   ///< instances, in the claims' order; never over wanted (or min where that is more)
  std::uint32_t gpus = 0;
  bool minima_fit = true;               ///< false: not even the minima fit; they are then granted by priority, max-min fair
};

/// Splits `budget` GPUs. Priorities are served from the highest down, each after all minima; within one priority the split
/// is lexicographically max-min fair in granted / (weight * wanted), up to whole instances. That is: of all splits that fit
/// (min <= granted <= wanted, GPUs within what is left), the one whose ratios, sorted ascending, are the lexicographically
/// largest; among several, the one whose granted counts in the claims' order are the lexicographically largest, so that
/// ties go to the earlier claim. Claims that want no more than their minimum get it and count in no comparison. Exact, also
/// where GPUs per instance differ (docs/planner.md has the argument); linear in the claims up to a factor that grows with
/// the number of different gpus_per_instance and their size. Source of the objective: Bertsekas and Gallager, Data
/// Networks, 6.5.2.
BudgetSplit split_budget(std::span<const BudgetClaim> claims, std::uint32_t budget);

/// Returns granted / (weight * wanted), as split_budget() compares it; 0 for a claim that wants nothing.
double fair_ratio(const BudgetClaim& claim, std::uint32_t granted);

}  // namespace flexpert::scaling
