#include "engine/serve/layout_planner.h"

#include <utility>

#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/moves.h"
#include "placement/quality.h"

namespace flexpert::engine {

Result<LayoutPlanner> LayoutPlanner::create(const ExpertLayout& layout, const EplbOptions& options, std::uint64_t bytes_per_expert) {
  placement::RebalanceOptions rebalance;
  rebalance.interval_steps = options.interval_steps;
  rebalance.least_utilisation = options.least_utilisation;
  rebalance.bytes_per_expert = bytes_per_expert;
  const auto cluster = ExpertCluster::uniform(layout.devices(), 1, layout.slots_of_device[0]);
  FLEXPERT_ASSIGN(placement::Rebalancer rebalancer, placement::Rebalancer::create(layout, cluster, rebalance));
  return LayoutPlanner(std::move(rebalancer), options, bytes_per_expert);
}

Result<LayoutPlanner::Decision> LayoutPlanner::observe(const placement::RecordedWindow& window, std::uint64_t steps) {
  if (options_.algorithm != EplbAlgorithm::kIncremental) return plan_from_scratch(window.counts, steps);
  FLEXPERT_ASSIGN(placement::RebalanceDecision decision, rebalancer_.observe(window, steps));
  return Decision{std::move(decision.reason), decision.utilisation, std::move(decision.plan)};
}

Result<LayoutPlanner::Decision> LayoutPlanner::plan_from_scratch(const ExpertCounts& window, std::uint64_t steps) {
  if (gathered_.count.empty()) gathered_ = {window.geometry, std::vector<double>(window.count.size(), 0.0), 0};
  for (std::size_t i = 0; i < window.count.size(); ++i) gathered_.count[i] += window.count[i];
  gathered_.tokens += window.tokens;
  steps_ += steps;
  const ExpertLayout& current = rebalancer_.layout();
  const ExpertCluster& cluster = rebalancer_.cluster();
  Decision decision;
  decision.utilisation = placement::balance_of(current, cluster, gathered_).balancedness;
  decision.reason = {"interval_not_over", fmt::format("{} of {} steps", steps_, options_.interval_steps),
                     {{"steps", static_cast<double>(steps_)}, {"utilisation", decision.utilisation}}};
  if (steps_ < options_.interval_steps) return decision;
  const ExpertCounts counts = std::exchange(gathered_, {});
  steps_ = 0;
  decision.reason.code = "balanced";
  decision.reason.text = fmt::format("balancedness {:.3f}", decision.utilisation);
  if (decision.utilisation >= options_.least_utilisation) return decision;
  PlacementPlan plan;
  if (options_.algorithm == EplbAlgorithm::kExact) {
    plan.mode = "exact";
    FLEXPERT_ASSIGN(plan.layout, placement::plan_eplb(counts, {current.slots(), 1, 1, current.devices()}));
  } else {
    FLEXPERT_ASSIGN(plan, placement::plan_quality(counts, cluster));
  }
  placement::align_slots(current, plan.layout);
  plan.before = placement::balance_of(current, cluster, counts);
  plan.balance = placement::balance_of(plan.layout, cluster, counts);
  plan.moves = placement::moves_between(current, plan.layout, cluster, bytes_per_expert_);
  decision.reason.code = "interval";
  if (plan.balance.balancedness <= plan.before.balancedness || plan.moves.changed() == 0) {
    decision.reason.code = "no_better";
    return decision;
  }
  decision.plan = std::move(plan);
  return decision;
}

}  // namespace flexpert::engine
