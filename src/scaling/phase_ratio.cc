#include "scaling/phase_ratio.h"

#include <algorithm>
#include <map>

namespace flexpert::scaling {
namespace {

/// The most restricted pool of each phase of one deployment.
struct Sides {
  std::optional<std::size_t> prefill;
  std::optional<std::size_t> decode;
};

bool tighter(const PhasePool& a, const PhasePool& b) {
  return static_cast<std::uint64_t>(a.allowed) * b.asked < static_cast<std::uint64_t>(b.allowed) * a.asked;
}

}  // namespace

std::vector<PhaseCap> keep_phase_ratio(std::span<const PhasePool> pools) {
  std::vector<PhaseCap> caps(pools.size());
  std::map<std::string, Sides> deployments;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    caps[i].allowed = pools[i].allowed;
    const bool prefill = pools[i].role == PoolRole::kPrefill;
    if (pools[i].deployment.empty() || (!prefill && pools[i].role != PoolRole::kDecode)) continue;
    Sides& sides = deployments[pools[i].deployment];
    std::optional<std::size_t>& side = prefill ? sides.prefill : sides.decode;
    if (!side || tighter(pools[i], pools[*side])) side = i;
  }
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const PhasePool& pool = pools[i];
    const bool prefill = pool.role == PoolRole::kPrefill;
    if (pool.deployment.empty() || (!prefill && pool.role != PoolRole::kDecode)) continue;
    const Sides& sides = deployments.at(pool.deployment);
    const std::optional<std::size_t> other = prefill ? sides.decode : sides.prefill;
    if (!other || pools[*other].allowed >= pools[*other].asked) continue;
    const std::uint64_t product = static_cast<std::uint64_t>(pool.asked) * pools[*other].allowed;
    const std::uint64_t above = (product + pools[*other].asked - 1) / pools[*other].asked;
    const std::uint64_t below = std::max<std::uint64_t>(product / pools[*other].asked, std::min<std::uint64_t>(above, 1));
    const std::uint64_t share = std::clamp<std::uint64_t>(pool.current, below, above);
    const std::uint64_t kept = std::max<std::uint64_t>(share, pool.min);
    if (kept >= pool.allowed) continue;
    caps[i].allowed = static_cast<std::uint32_t>(kept);
    caps[i].because_of = other;
  }
  return caps;
}

}  // namespace flexpert::scaling
