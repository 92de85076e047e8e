#include "scaling/staging.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

namespace flexpert::scaling {
namespace {

/// A pool that could start one more; the best has the highest priority and the smallest share of what it should have.
struct Candidate {
  int priority = 0;
  double share = 0;
  std::size_t pool = 0;

  bool operator<(const Candidate& other) const {
    return std::tuple(priority, -share, other.pool) < std::tuple(other.priority, -other.share, pool);
  }
};

}  // namespace

std::uint64_t gpus_held(std::span<const StagedPool> pools) {
  std::uint64_t held = 0;
  for (const StagedPool& pool : pools) held += static_cast<std::uint64_t>(pool.held) * pool.gpus_per_instance;
  return held;
}

std::vector<StagedStarts> stage_starts(std::span<const StagedPool> pools, std::optional<std::uint32_t> gpu_budget) {
  std::vector<StagedStarts> starts(pools.size());
  const std::uint64_t held = gpus_held(pools);
  std::uint64_t free = std::numeric_limits<std::uint64_t>::max();
  if (gpu_budget) free = *gpu_budget > held ? *gpu_budget - held : 0;

  std::priority_queue<Candidate> next;
  const auto offer_serving = [&](std::size_t i) {
    const std::uint32_t have = pools[i].serving + starts[i].serving;
    if (have < pools[i].granted && starts[i].serving < pools[i].may_start)
      next.push({pools[i].priority, static_cast<double>(have) / pools[i].granted, i});
  };
  bool waits = false;
  for (std::size_t i = 0; i < pools.size(); ++i) offer_serving(i);
  while (!next.empty()) {
    const std::size_t i = next.top().pool;
    next.pop();
    if (pools[i].gpus_per_instance > free) {
      starts[i].waiting = std::min(pools[i].granted - pools[i].serving, pools[i].may_start) - starts[i].serving;
      waits = true;
      continue;
    }
    free -= pools[i].gpus_per_instance;
    ++starts[i].serving;
    offer_serving(i);
  }
  if (waits) return starts;

  const auto offer_warm = [&](std::size_t i) {
    const std::uint32_t have = pools[i].warm + starts[i].warm;
    if (have < pools[i].warm_wanted && starts[i].serving + starts[i].warm < pools[i].may_start)
      next.push({pools[i].priority, static_cast<double>(have) / pools[i].warm_wanted, i});
  };
  for (std::size_t i = 0; i < pools.size(); ++i) offer_warm(i);
  while (!next.empty()) {
    const std::size_t i = next.top().pool;
    next.pop();
    if (pools[i].gpus_per_instance > free) continue;
    free -= pools[i].gpus_per_instance;
    ++starts[i].warm;
    offer_warm(i);
  }
  return starts;
}

}  // namespace flexpert::scaling
