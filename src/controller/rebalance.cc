#include "controller/rebalance.h"

#include <algorithm>

#include "placement/expert_placement.h"

namespace flexpert::controller {
namespace {

Reason conclusion(const RebalanceReport& report, const RebalanceInput& input) {
  Reason reason;
  reason.code = report.outcome == RebalanceOutcome::kMoved ? "rebalanced" : name_of(report.outcome);
  const double before = report.before.balancedness;
  const double after = report.after.balancedness;
  switch (report.outcome) {
    case RebalanceOutcome::kMoved:
      reason.text = fmt::format("{} replicas move between {} servers, {} bytes of weights: balancedness {:.3f} -> {:.3f}, {:.3f} at most",
                                report.moves.size(), report.servers, report.bytes, before, after, report.after.bound);
      break;
    case RebalanceOutcome::kBalanced:
      reason.text = fmt::format("balancedness is {:.3f}, and from {:.3f} on nothing is moved", before, input.threshold);
      break;
    case RebalanceOutcome::kNoBetter:
      reason.text = fmt::format("no plan with at most {} moves is more even: balancedness {:.3f}", input.max_moves, before);
      break;
    case RebalanceOutcome::kSmallGain:
      reason.text = fmt::format("the best plan gains {:.4f} of balancedness, and {:.4f} are asked for", after - before, input.least_gain);
      break;
    case RebalanceOutcome::kNotWorth: reason.text = "the steps until the next rebalance save less than the moves cost"; break;
    case RebalanceOutcome::kNoLoads: reason.text = "no routed tokens were counted yet"; break;
    default: break;
  }
  reason.numbers = {{"servers", report.servers},
                    {"moved", static_cast<double>(report.moves.size())},
                    {"bytes", static_cast<double>(report.bytes)},
                    {"before", before},
                    {"after", after},
                    {"bound", report.after.bound},
                    {"threshold", input.threshold},
                    {"least_gain", input.least_gain},
                    {"max_moves", input.max_moves}};
  return reason;
}

/// Returns what the change saves against what it costs, in milliseconds.
Reason worth_of(const RebalanceReport& report, const RebalanceWorth& worth) {
  const double tokens = worth.tokens_per_step / std::max<std::uint32_t>(report.servers, 1);
  double saving_ms = 0;
  for (std::size_t layer = 0; layer < report.before.layers.size(); ++layer) {
    if (!(report.before.layers[layer].max_load > 0)) continue;
    saving_ms += worth.cost->layer_ms(report.servers, tokens, report.before.layers[layer].balancedness()) -
                 worth.cost->layer_ms(report.servers, tokens, report.after.layers[layer].balancedness());
  }
  saving_ms *= worth.steps;
  const double cost_ms = worth.link_bytes_per_s > 0 ? static_cast<double>(report.bytes) / worth.link_bytes_per_s * 1e3 : 0;
  return {saving_ms > cost_ms ? "pays" : "does_not_pay",
          fmt::format("{:.0f} steps of {:.1f} tokens a server save {:.3f} ms, the moves cost {:.3f} ms", worth.steps, tokens, saving_ms, cost_ms),
          {{"steps", worth.steps}, {"tokens_per_server", tokens}, {"saving_ms", saving_ms}, {"cost_ms", cost_ms}}};
}

bool any_worse(const Balance& before, const Balance& after) {
  for (std::size_t layer = 0; layer < before.layers.size(); ++layer)
    if (after.layers[layer].max_load > before.layers[layer].max_load * (1 + 1e-9)) return true;
  return false;
}

}  // namespace

const char* name_of(RebalanceOutcome outcome) {
  switch (outcome) {
    case RebalanceOutcome::kMoved: return "moved";
    case RebalanceOutcome::kBalanced: return "balanced";
    case RebalanceOutcome::kNoBetter: return "no_better";
    case RebalanceOutcome::kSmallGain: return "small_gain";
    case RebalanceOutcome::kNotWorth: return "not_worth";
    case RebalanceOutcome::kNoLoads: return "no_loads";
    case RebalanceOutcome::kBusy: return "busy";
    case RebalanceOutcome::kFailed: return "failed";
  }
  return "failed";
}

RebalancePlan plan_rebalance(const RoutingTable& table, std::uint32_t slots_per_server, const RebalanceInput& input,
                             std::uint64_t bytes_per_replica) {
  RebalancePlan plan;
  RebalanceReport& report = plan.report;
  report.servers = static_cast<std::uint32_t>(table.endpoints.size());
  const auto conclude = [&](RebalanceOutcome outcome, std::vector<Reason> more = {}) {
    report.outcome = outcome;
    report.reasons = {conclusion(report, input), input.trigger};
    report.reasons.insert(report.reasons.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (outcome != RebalanceOutcome::kMoved) {
      report.after = report.before;
      report.moves.clear();
      report.bytes = 0;
    }
    return plan;
  };
  if (input.loads.size() != table.geometry.size() || std::none_of(input.loads.begin(), input.loads.end(), [](double load) { return load > 0; }))
    return conclude(RebalanceOutcome::kNoLoads);
  report.before = report.after = balance_of(table, input.loads);
  if (input.threshold > 0 && report.before.balancedness >= input.threshold) return conclude(RebalanceOutcome::kBalanced);

  placement::ExpertPlacementInput wanted;
  wanted.geometry = table.geometry;
  for (const auto& list : table.replicas) wanted.replicas.push_back(static_cast<std::uint32_t>(list.size()));
  wanted.rows_per_s = input.loads;
  wanted.servers = report.servers;
  wanted.slots_per_server = slots_per_server;
  wanted.current = table.replicas;
  wanted.max_moves = input.max_moves;
  wanted.tolerance = 1;
  auto placed = placement::place_experts(wanted);
  if (!placed) return conclude(RebalanceOutcome::kFailed, {{"planner", placed.error().message, {}}});
  RoutingTable next{table.epoch + 1, table.geometry, table.endpoints, std::move(placed->positions)};
  report.moves = moves_between(table, next);
  report.bytes = arrivals(report.moves) * bytes_per_replica;
  report.after = balance_of(next, input.loads);
  if (report.moves.empty() || !(report.gain() > 0) || any_worse(report.before, report.after)) return conclude(RebalanceOutcome::kNoBetter);
  if (report.gain() < input.least_gain) return conclude(RebalanceOutcome::kSmallGain);
  std::vector<Reason> worth;
  if (input.worth.cost != nullptr) {
    worth.push_back(worth_of(report, input.worth));
    if (worth.back().code != "pays") return conclude(RebalanceOutcome::kNotWorth, std::move(worth));
  }
  report.epoch = next.epoch;
  plan.table = std::move(next);
  return conclude(RebalanceOutcome::kMoved, std::move(worth));
}

}  // namespace flexpert::controller
