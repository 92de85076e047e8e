#include "scaling/power_budget.h"

#include <algorithm>
#include <utility>

namespace flexpert::scaling {
namespace {

using Count = std::optional<std::int64_t>;

bool adjustable(const PowerSide& side) { return side.proposed && side.watts && *side.watts > 0; }

std::int64_t current_of(const PowerSide& side) { return side.current.value_or(0); }

/// Returns the proposal without growth.
Count held(const PowerSide& side, Count proposed) {
  if (!proposed) return std::nullopt;
  return std::min(*proposed, current_of(side));
}

/// Says whether one side grows while the other shrinks and the worst moment of that passes the budget.
bool passes_while_moving(const PowerSide& prefill, const PowerSide& decode, std::int64_t p, std::int64_t d, std::int64_t budget) {
  const std::int64_t was_p = current_of(prefill);
  const std::int64_t was_d = current_of(decode);
  const bool opposed = (p > was_p && d < was_d) || (p < was_p && d > was_d);
  return opposed && std::max(p, was_p) * *prefill.watts + std::max(d, was_d) * *decode.watts > budget;
}

PowerPlan staged(const PowerSide& prefill, const PowerSide& decode, Count p, Count d) {
  return {held(prefill, p), held(decode, d), "power_rebalance_staged"};
}

PowerPlan fit_pair(const PowerSide& prefill, const PowerSide& decode, std::int64_t budget) {
  const std::int64_t room = budget - decode.min * *decode.watts;
  if (room < prefill.min * *prefill.watts)
    return {held(prefill, prefill.proposed), held(decode, decode.proposed), "power_budget_scale_up_suppressed"};
  __extension__ using Wide = __int128;
  const std::int64_t total = *prefill.proposed * *prefill.watts + *decode.proposed * *decode.watts;
  const auto share = static_cast<std::int64_t>(static_cast<Wide>(*prefill.proposed) * budget / total);
  std::int64_t p = std::max(prefill.min, std::min(room / *prefill.watts, share));
  std::int64_t d = std::max(decode.min, (budget - p * *prefill.watts) / *decode.watts);
  p = std::min(p, *prefill.proposed);
  d = std::min(d, *decode.proposed);
  if (passes_while_moving(prefill, decode, p, d, budget)) return staged(prefill, decode, p, d);
  return {p, d, "power_budget_clamped"};
}

/// Fits the side that may change into what the other leaves.
std::pair<std::int64_t, std::string_view> fit_one(const PowerSide& side, std::int64_t room) {
  if (room < side.min * *side.watts) {
    const std::int64_t kept = *held(side, side.proposed);
    return {kept, kept < *side.proposed ? "power_budget_scale_up_suppressed" : ""};
  }
  const std::int64_t fits = std::min(*side.proposed, std::max(side.min, room / *side.watts));
  return {fits, fits < *side.proposed ? "power_budget_clamped" : ""};
}

}  // namespace

std::int64_t projected_watts(Count prefill, Count prefill_watts, Count decode, Count decode_watts) {
  return prefill.value_or(0) * prefill_watts.value_or(0) + decode.value_or(0) * decode_watts.value_or(0);
}

PowerPlan apply_power_budget(const PowerSide& prefill, const PowerSide& decode, std::int64_t budget_watts) {
  const bool both = adjustable(prefill) && adjustable(decode);
  if (both && passes_while_moving(prefill, decode, *prefill.proposed, *decode.proposed, budget_watts))
    return staged(prefill, decode, prefill.proposed, decode.proposed);
  const Count p = prefill.proposed ? prefill.proposed : prefill.current;
  const Count d = decode.proposed ? decode.proposed : decode.current;
  const PowerPlan unchanged{prefill.proposed, decode.proposed, ""};
  if (projected_watts(p, prefill.watts, d, decode.watts) <= budget_watts) return unchanged;
  if (both) return fit_pair(prefill, decode, budget_watts);
  if (adjustable(prefill)) {
    const auto [count, reason] = fit_one(prefill, budget_watts - projected_watts({}, {}, d, decode.watts));
    return {count, decode.proposed, reason};
  }
  if (adjustable(decode)) {
    const auto [count, reason] = fit_one(decode, budget_watts - projected_watts(p, prefill.watts, {}, {}));
    return {prefill.proposed, count, reason};
  }
  return unchanged;
}

bool minimum_power_fits(std::int64_t budget_watts, const PowerSide& prefill, const PowerSide& decode) {
  return prefill.min * prefill.watts.value_or(0) + decode.min * decode.watts.value_or(0) <= budget_watts;
}

}  // namespace flexpert::scaling
