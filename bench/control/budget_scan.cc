// Bar 4 of the control plane: every split of small budgets against all splits there are, and the GPUs that a fleet holds while
// it is rebalanced at random.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "figures.h"
#include "scaling/gpu_budget.h"
#include "scaling/pool_planner.h"
#include "scenarios/simulated_fleet.h"

namespace {

using namespace flexpert;
using scaling::BudgetClaim;
using scaling::BudgetSplit;

constexpr std::uint32_t kLargestBudget = 32;

/// Counts what is wrong with splits.
struct Scan {
  std::uint64_t splits = 0;
  std::uint64_t violations = 0;
  std::uint64_t unfair = 0;
};

/// One way to give out instances: GPUs, and the ratios of those that want something, ascending.
struct Way {
  std::uint32_t gpus = 0;
  std::vector<std::uint32_t> granted;
  std::vector<double> ratios;
};

/// Lists all ways to serve `claims`, from the best downwards by the definition in gpu_budget.h.
std::vector<Way> all_ways(const std::vector<BudgetClaim>& claims) {
  std::vector<Way> ways(1);
  for (const BudgetClaim& claim : claims) {
    std::vector<Way> longer;
    for (const Way& way : ways) {
      for (std::uint32_t n = claim.min; n <= std::max(claim.min, claim.wanted); ++n) {
        Way next = way;
        next.gpus += n * claim.gpus_per_instance;
        if (next.gpus > kLargestBudget) break;
        next.granted.push_back(n);
        if (claim.wanted > 0) next.ratios.push_back(static_cast<double>(n) / (claim.weight * claim.wanted));
        longer.push_back(std::move(next));
      }
    }
    ways = std::move(longer);
  }
  for (Way& way : ways) std::sort(way.ratios.begin(), way.ratios.end());
  std::sort(ways.begin(), ways.end(),
            [](const Way& a, const Way& b) { return a.ratios != b.ratios ? a.ratios > b.ratios : a.granted > b.granted; });
  return ways;
}

/// Compares every budget from what the minima need to kLargestBudget. Minima that do not fit must still fit the budget.
void scan_claims(const std::vector<BudgetClaim>& claims, Scan& scan) {
  std::uint32_t minima = 0;
  for (const BudgetClaim& claim : claims) minima += claim.min * claim.gpus_per_instance;
  const std::vector<Way> ways = all_ways(claims);
  for (std::uint32_t budget = 0; budget <= kLargestBudget; ++budget) {
    ++scan.splits;
    const BudgetSplit split = scaling::split_budget(claims, budget);
    std::uint32_t gpus = 0;
    bool within = true;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      gpus += split.granted[i] * claims[i].gpus_per_instance;
      within =
          within && split.granted[i] <= std::max(claims[i].wanted, claims[i].min) && (minima > budget || split.granted[i] >= claims[i].min);
    }
    if (gpus > budget || gpus != split.gpus || !within || split.minima_fit != (minima <= budget)) ++scan.violations;
    if (minima > budget) continue;
    const auto best = std::find_if(ways.begin(), ways.end(), [&](const Way& way) { return way.gpus <= budget; });
    if (best == ways.end() || best->granted != split.granted) ++scan.unfair;
  }
}

Scan scan_pools(std::size_t pools, const std::vector<std::uint32_t>& wants, const std::vector<double>& weights) {
  std::vector<BudgetClaim> kinds;
  for (std::uint32_t gpus = 1; gpus <= 4; ++gpus) {
    for (std::uint32_t min = 0; min <= 3; ++min) {
      for (const std::uint32_t wanted : wants) {
        for (const double weight : weights) kinds.push_back({wanted, min, gpus, 0, weight});
      }
    }
  }
  Scan scan;
  std::vector<std::size_t> at(pools, 0);
  for (std::size_t i = 0; i < pools;) {
    std::vector<BudgetClaim> claims;
    for (const std::size_t kind : at) claims.push_back(kinds[kind]);
    scan_claims(claims, scan);
    for (i = 0; i < pools && ++at[i] == kinds.size(); ++i) at[i] = 0;
  }
  return scan;
}

/// Ratios are shares of what is wanted within a priority: higher ones are served as if the others had their minima only.
std::uint64_t unfair_priorities(std::uint64_t rounds) {
  Rng rng(5);
  std::uint64_t wrong = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<BudgetClaim> claims(3);
    for (BudgetClaim& claim : claims)
      claim = {static_cast<std::uint32_t>(rng.below(9)), static_cast<std::uint32_t>(rng.below(3)),
               1 + static_cast<std::uint32_t>(rng.below(4)), static_cast<int>(rng.below(2)), 1};
    const auto budget = static_cast<std::uint32_t>(rng.below(kLargestBudget + 1));
    const BudgetSplit split = scaling::split_budget(claims, budget);
    if (!split.minima_fit) continue;
    std::uint32_t low_minima = 0;
    std::vector<BudgetClaim> high;
    std::vector<std::uint32_t> got;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      if (claims[i].priority == 0) low_minima += claims[i].min * claims[i].gpus_per_instance;
      else high.push_back(claims[i]), got.push_back(split.granted[i]);
    }
    if (high.empty()) continue;
    const std::vector<Way> ways = all_ways(high);
    const auto best = std::find_if(ways.begin(), ways.end(), [&](const Way& way) { return way.gpus + low_minima <= budget; });
    if (best == ways.end() || best->granted != got) ++wrong;
  }
  return wrong;
}

struct Rebalances {
  std::uint64_t count = 0;
  std::uint64_t violations = 0;
  std::uint64_t waited = 0;
  std::uint64_t failed = 0;
};

/// Fleets of three to five pools whose counts people change at random, while instances start and drain at random speed, some
/// never become ready and some crash.
Result<void> rebalance(std::uint64_t seed, std::uint64_t rebalances, Rebalances& out) {
  Rng rng(seed);
  scaling::PlannerConfig config;
  std::vector<scenarios::SimulatedPool> simulated;
  std::uint32_t minima = 0;
  const std::size_t pools = 3 + rng.below(3);
  for (std::size_t i = 0; i < pools; ++i) {
    scaling::PoolConfig pool;
    pool.id = PoolId{fmt::format("pool{}", i)};
    pool.gpus_per_instance = 1 + static_cast<std::uint32_t>(rng.below(4));
    pool.limits = {static_cast<std::uint32_t>(rng.below(3)), 10, std::nullopt};
    pool.priority = static_cast<int>(rng.below(3));
    pool.policies.push_back({"manual", scaling::CombineRule::kMax, scaling::ManualOptions{pool.limits.min}});
    pool.forecast.predictor = "constant";
    pool.warm = {static_cast<std::uint32_t>(rng.below(2)), 2};
    pool.never_ready_s = 90 + 60 * rng.uniform();
    minima += pool.limits.min * pool.gpus_per_instance;
    scenarios::SimulatedPool made;
    made.config = pool;
    made.instances = pool.limits.min;
    made.startup_s = 5 + 100 * rng.uniform();
    made.startup_spread = 0.9;
    made.appear_s = 25 * rng.uniform();
    made.drain_s = 300 * rng.uniform();
    made.never_ready = 0.15 * rng.uniform();
    made.crash = 0.02 * rng.uniform();
    simulated.push_back(made);
    config.pools.push_back(std::move(pool));
  }
  const std::uint32_t budget = minima + 2 + static_cast<std::uint32_t>(rng.below(30));
  config.gpu_budget = budget;
  FLEXPERT_ASSIGN(auto planner, scaling::PoolPlanner::create(config));
  scenarios::SimulatedFleet fleet(simulated, budget, config.interval_s, seed);
  for (std::uint64_t done = 0; done < rebalances;) {
    for (std::size_t i = 0; i < pools; ++i) {
      if (rng.below(12) != 0) continue;
      PoolLimits limits = config.pools[i].limits;
      limits.manual = limits.min + static_cast<std::uint32_t>(rng.below(limits.max - limits.min + 1));
      fleet.set_limits(i, limits);
      ++done;
    }
    std::vector<double> offered(pools);
    for (double& load : offered) load = 20 * rng.uniform();
    const ScalePlan plan = planner->plan(fleet.observe(offered));
    if (fleet.gpus_held() > budget) ++out.violations;
    fleet.apply(plan);
    if (fleet.gpus_held() > budget || plan.gpus_after > budget) ++out.violations;
    for (const PoolPlan& pool : plan.pools) {
      for (const Reason& reason : pool.reasons) out.waited += reason.code == "waiting_for_gpus" ? 1 : 0;
      for (const PoolAction& action : pool.actions) {
        for (const Reason& reason : action.reasons) out.failed += reason.code == "never_ready" ? 1 : 0;
      }
    }
  }
  out.count += rebalances;
  return {};
}

Result<void> measure(bench::Figures& figures) {
  const Scan two = scan_pools(2, {0, 1, 2, 3, 4, 5, 7, 9, 13, 32}, {1, 2, 0.5, 3});
  figures.note("two_pools.splits", static_cast<double>(two.splits), "splits");
  figures.hold("two_pools.violations", static_cast<double>(two.violations), "splits", "= 0", two.violations == 0);
  figures.hold("two_pools.not_max_min", static_cast<double>(two.unfair), "splits", "= 0", two.unfair == 0);
  const Scan three = scan_pools(3, {1, 4, 7}, {1, 2});
  figures.note("three_pools.splits", static_cast<double>(three.splits), "splits");
  figures.hold("three_pools.violations", static_cast<double>(three.violations), "splits", "= 0", three.violations == 0);
  figures.hold("three_pools.not_max_min", static_cast<double>(three.unfair), "splits", "= 0", three.unfair == 0);
  const std::uint64_t priorities = unfair_priorities(20'000);
  figures.hold("priorities.not_max_min", static_cast<double>(priorities), "splits", "= 0", priorities == 0);
  Rebalances total;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) FLEXPERT_TRY(rebalance(seed, 100, total));
  figures.note("rebalances", static_cast<double>(total.count), "changes of a pool's count");
  figures.note("rebalances.waited", static_cast<double>(total.waited), "cycles in which a start waited for a release");
  figures.note("rebalances.never_ready", static_cast<double>(total.failed), "instances cancelled");
  figures.hold("rebalances.violations", static_cast<double>(total.violations), "cycles", "= 0", total.violations == 0);
  return {};
}

}  // namespace

int main() {
  bench::Figures figures("budget-scan",
                         "two and three pools, budgets to 32 GPUs, 1-4 GPUs an instance, minima 0-3, against every split there is; "
                         "10,000 changes of random fleets' counts while instances start, drain, hang and crash at random");
  const auto done = measure(figures);
  if (!done) fmt::print(stderr, "budget-scan: {}\n", done.error().message);
  return figures.verdict(done.has_value());
}
