#include "scaling/planner_share.h"

#include <algorithm>

#include "scaling/gpu_budget.h"
#include "scaling/phase_ratio.h"

namespace flexpert::scaling {
namespace {

Reason counted(std::string code, std::string text, std::uint32_t wanted, std::uint32_t granted) {
  return {std::move(code), std::move(text), {{"wanted", wanted}, {"granted", granted}}};
}

PhasePool phase_of(const PoolAsk& ask, std::uint32_t asked, std::uint32_t allowed) {
  const bool by_hand = ask.wish->limits.manual.has_value();
  return {by_hand ? std::string() : ask.config->deployment, ask.config->role, asked, allowed, ask.wish->limits.min,
          ask.wish->census.current()};
}

void note_ratio(const PhaseCap& cap, std::span<const PoolAsk> asks, std::uint32_t from, PoolShare& share) {
  share.reasons.push_back(counted("phase_ratio", fmt::format("{} of {}, in proportion to pool {}, which is capped", cap.allowed, from,
                                                             asks[*cap.because_of].config->id), from, cap.allowed));
}

/// Lowers the claims of pools whose other phase is cut by its maximum.
void cut_by_maxima(std::span<const PoolAsk> asks, std::vector<BudgetClaim>& claims, FleetShare& out) {
  std::vector<PhasePool> phases;
  phases.reserve(asks.size());
  for (const PoolAsk& ask : asks) phases.push_back(phase_of(ask, ask.wish->asked, std::min(ask.wish->asked, ask.wish->limits.max)));
  const std::vector<PhaseCap> caps = keep_phase_ratio(phases);
  for (std::size_t i = 0; i < asks.size(); ++i) {
    if (!caps[i].because_of || caps[i].allowed >= claims[i].wanted) continue;
    note_ratio(caps[i], asks, claims[i].wanted, out.pools[i]);
    claims[i].wanted = caps[i].allowed;
  }
}

/// Lowers the claims of pools whose other phase is cut by the budget; says whether there are any.
bool cut_by_budget(std::span<const PoolAsk> asks, const std::vector<std::uint32_t>& granted, std::vector<BudgetClaim>& claims,
                   FleetShare& out) {
  std::vector<PhasePool> phases;
  phases.reserve(asks.size());
  for (std::size_t i = 0; i < asks.size(); ++i) phases.push_back(phase_of(asks[i], claims[i].wanted, granted[i]));
  const std::vector<PhaseCap> caps = keep_phase_ratio(phases);
  bool cut = false;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    if (!caps[i].because_of) continue;
    note_ratio(caps[i], asks, granted[i], out.pools[i]);
    claims[i].wanted = caps[i].allowed;
    cut = true;
  }
  return cut;
}

}  // namespace

FleetShare share_gpus(std::span<const PoolAsk> asks, std::optional<std::uint32_t> gpu_budget) {
  FleetShare out;
  out.pools.resize(asks.size());
  std::vector<BudgetClaim> claims;
  claims.reserve(asks.size());
  for (std::size_t i = 0; i < asks.size(); ++i) {
    const PoolConfig& config = *asks[i].config;
    const std::uint32_t wanted = std::min(asks[i].wish->wanted, asks[i].reachable);
    if (wanted < asks[i].wish->wanted)
      out.pools[i].reasons.push_back(counted("failing_limited",
                                             fmt::format("start-ups fail, so it claims {} and leaves the rest to others", wanted),
                                             asks[i].wish->wanted, wanted));
    claims.push_back({wanted, std::min({asks[i].wish->limits.min, wanted, asks[i].reachable}), config.gpus_per_instance, config.priority,
                      config.weight});
  }
  cut_by_maxima(asks, claims, out);
  BudgetSplit split;
  if (!gpu_budget) {
    for (const BudgetClaim& claim : claims) split.granted.push_back(std::max(claim.wanted, claim.min));
  } else {
    split = split_budget(claims, *gpu_budget);
    const std::vector<BudgetClaim> before = claims;
    if (cut_by_budget(asks, split.granted, claims, out)) split = split_budget(claims, *gpu_budget);
    for (std::size_t i = 0; i < asks.size(); ++i) {
      if (split.granted[i] >= claims[i].wanted) continue;
      out.pools[i].reasons.push_back(counted(
          "budget_limited", fmt::format("{} of {}: all pools together have {} GPUs", split.granted[i], before[i].wanted, *gpu_budget),
          before[i].wanted, split.granted[i]));
    }
  }
  out.minima_fit = split.minima_fit;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    out.pools[i].granted = split.granted[i];
    out.pools[i].warm = asks[i].wish->warm;
  }
  if (!gpu_budget) return out;

  std::vector<BudgetClaim> warm_claims = claims;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    warm_claims[i].wanted = asks[i].wish->warm;
    warm_claims[i].min = 0;
  }
  const BudgetSplit warm = split_budget(warm_claims, *gpu_budget - std::min(*gpu_budget, split.gpus));
  for (std::size_t i = 0; i < asks.size(); ++i) out.pools[i].warm = warm.granted[i];
  return out;
}

}  // namespace flexpert::scaling
