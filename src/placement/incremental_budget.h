#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace flexpert::placement {

/// One way to treat a layer: `changed` slots for `value`.
struct BudgetChoice {
  std::int64_t changed = 0;
  double value = 0;
};

/// Chooses one way for every layer so that the sum of `changed` keeps within `budget` and the sum of values is large:
/// along each layer's upper hull, the steepest step of all layers first, what is left where it still buys most. Exact but
/// for the last steps. Each layer's first choice is what is taken without budget.
/// Returns the index of each layer's choice.
std::vector<std::uint32_t> spend_budget(std::span<const std::vector<BudgetChoice>> layers, std::int64_t budget);

}  // namespace flexpert::placement
