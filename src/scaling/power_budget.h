#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

/// A ceiling on projected watts over a prefill and a decode pool. Source of the rules: ai-dynamo/dynamo, planner, power
/// budget unit tests.
namespace flexpert::scaling {

/// One side. Absent `proposed`: this side is not up for change, its current count is charged. Absent `watts`: it is not
/// charged at all. Absent `current`: none runs yet.
struct PowerSide {
  std::optional<std::int64_t> proposed;
  std::optional<std::int64_t> current;
  std::optional<std::int64_t> watts;  ///< of one instance
  std::int64_t min = 1;
};

struct PowerPlan {
  std::optional<std::int64_t> prefill;  ///< absent where nothing was proposed
  std::optional<std::int64_t> decode;
  /// Empty: nothing changed. "power_rebalance_staged": one side grows while the other shrinks and both at once would pass
  /// the ceiling; the growth waits. "power_budget_clamped": reduced in proportion. "power_budget_scale_up_suppressed": the
  /// other side alone leaves no room for the minimum; no growth.
  std::string_view reason;
};

/// Lowers the proposals until projected watts fit `budget_watts`; never raises one. What cannot be lowered is left: if
/// nothing is proposed, nothing changes; if the minima alone pass the budget, both sides stay where they are or below.
PowerPlan apply_power_budget(const PowerSide& prefill, const PowerSide& decode, std::int64_t budget_watts);

/// Tells whether the minima of both sides fit; a side without watts takes none.
bool minimum_power_fits(std::int64_t budget_watts, const PowerSide& prefill, const PowerSide& decode);

/// Returns count * watts over both sides; absent ones count 0.
std::int64_t projected_watts(std::optional<std::int64_t> prefill, std::optional<std::int64_t> prefill_watts,
                             std::optional<std::int64_t> decode, std::optional<std::int64_t> decode_watts);

}  // namespace flexpert::scaling
